"""What numbers are called."""

from uotlab.metrics.titles import owner_of, title_of


def test_a_number_is_its_metric_and_what_more_its_name_says():
    assert title_of("mass") == "Transported mass"
    assert title_of("map error share") == "Map error, share"
    assert title_of("w2 floor") == "W2 to the re-weighted target, floor"
    assert title_of("map_error", unit=True) == "Map error (data units)"


def test_a_loss_has_no_metric():
    assert owner_of("potential_loss") is None
    assert title_of("potential_loss") == "Potential loss"
