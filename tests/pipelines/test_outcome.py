"""What is told when a training has ended."""

from neuraxis.pipelines.outcome import waiting_in_words


def test_a_long_wait_for_data_comes_with_advice():
    assert waiting_in_words({"waiting_share": 0.0712, "loader_workers": 1}) == (
        "Training waited for data during 7.1 % of the training time: raise training.loader_workers (now 1)."
    )


def test_a_short_wait_is_told_without_advice():
    assert waiting_in_words({"waiting_share": 0.004, "loader_workers": 0}) == "0.4 % of the training time"
