"""What numbers are called."""

from uotlab.metrics.titles import owner_of, title_of


def test_a_number_is_its_metric_and_what_more_its_name_says():
    assert title_of("mass") == "Transported mass"
    assert title_of("map error share") == "Map error, share"
    assert title_of("w2 floor") == "W2 to the re-weighted target, floor"
    assert title_of("map_error", unit=True) == "Map error (data units)"


def test_numbers_of_a_barycenter_are_their_own_metrics():
    assert [owner_of(f"{name} of marginal 2") for name in ("mass", "map error", "acceptance")] == [
        "marginal-mass", "barycenter-map-error", "acceptance",
    ]  # fmt: skip
    assert title_of("mass of marginal 2") == "Mass of marginal 2"
    assert title_of("acceptance of marginal 1, outlier") == "Acceptance of marginal 1, outlier"
    assert (owner_of("barycenter L2 floor"), title_of("barycenter L2 floor")) == ("barycenter-error", "Barycenter L2 floor")


def test_a_loss_has_no_metric():
    assert owner_of("potential_loss") is None
    assert title_of("potential_loss") == "Potential loss"
