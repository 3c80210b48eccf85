from bench.generator.job import Accepted, Exactly, Report, Says
from bench.generator.tally import Tally
from bench.histogram import rounded

SHAPE = b'{"id":"rr_%b","object":"chat.completion.async","status":"queued","created":1}'


def _report(tally: Tally, *answers: tuple[int, bytes]) -> Report:
    tally.begin()
    for status, body in answers:
        tally.count(0.001, status, body)
    tally.end()
    return tally.report()


def test_only_the_exact_body_is_a_right_answer() -> None:
    report = _report(Tally(Exactly("{}")), (200, b"{}"), (200, b"{ }"), (503, b"{}"))
    assert report.answers == 1
    assert report.latencies == {rounded(0.001): 1}
    assert report.failures == {"another body": 1, "status 503": 1}


def test_an_accepted_answer_has_the_async_shape_and_a_new_id() -> None:
    report = _report(
        Tally(Accepted()),
        (200, SHAPE % b"1"),
        (200, SHAPE % b"2"),
        (200, SHAPE % b"1"),
        (200, b'{"id":"rr_3","object":"chat.completion"}'),
        (200, b"not JSON"),
    )
    assert report.answers == 2
    assert report.failures == {"an id twice": 1, "another shape": 2}


def test_answers_outside_the_measured_time_are_checked_but_not_counted() -> None:
    tally = Tally(Exactly("{}"))
    tally.count(0.001, 200, b"{}")
    tally.count(0.001, 500, b"{}")
    report = _report(tally, (200, b"{}"))
    assert report.answers == 1
    assert report.failures == {"status 500": 1}


def test_a_completion_may_have_more_around_its_text_but_no_other_text() -> None:
    def saying(*texts: str) -> bytes:
        choices = ",".join(f'{{"index":0,"message":{{"content":"{text}"}}}}' for text in texts)
        return f'{{"id":"x","choices":[{choices}],"theirs":{{}}}}'.encode()

    report = _report(
        Tally(Says("fox")),
        (200, saying("fox")),
        (200, saying("dog")),
        (200, saying("fox", "fox")),
        (200, b'{"choices":[{}]}'),
        (200, b"not JSON"),
    )
    assert report.answers == 1
    assert report.failures == {"another text": 2, "another shape": 2}
