from bench.exposition import Batches, mean_sizes, parse, parse_purged

TEXT = """\
# HELP reqrun_batch_size_items Items a batch
# TYPE reqrun_batch_size_items histogram
reqrun_batch_size_items_bucket{batch="accept",le="1.0"} 2.0
reqrun_batch_size_items_bucket{batch="accept",le="+Inf"} 4.0
reqrun_batch_size_items_count{batch="accept"} 4.0
reqrun_batch_size_items_sum{batch="accept"} 10.0
# HELP other_total Something else
# TYPE other_total counter
other_total{batch="accept"} 7.0
"""


def test_batches_are_read_by_name_and_other_metrics_are_left_alone() -> None:
    assert parse(TEXT) == {"accept": Batches(count=4, items=10)}


def test_mean_sizes_are_of_what_came_between_two_looks() -> None:
    before = {"accept": Batches(4, 10), "look": Batches(3, 3)}
    after = {"accept": Batches(6, 40), "look": Batches(3, 3), "finish": Batches(2, 8)}
    assert mean_sizes(before, after) == {"accept": 15, "finish": 4}


def test_what_was_purged_is_read_by_kind() -> None:
    text = """\
# HELP reqrun_purged_total What expired and was removed
# TYPE reqrun_purged_total counter
reqrun_purged_total{what="nonces"} 7.0
reqrun_purged_total{what="partitions"} 2.0
# HELP reqrun_purged_created What expired and was removed
# TYPE reqrun_purged_created gauge
reqrun_purged_created{what="nonces"} 1.7e+09
"""
    assert parse_purged(text) == {"nonces": 7, "partitions": 2}
