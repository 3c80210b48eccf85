"""Support: written to, answered, replied to, closed."""

import asyncio

import pytest

from libs.common.ids import new_id
from services.accounts.use_cases import support
from tests.support.customers import mails_to
from tests.support.dashboard import Browser, Dashboard, Page


async def write(browser: Browser, **typed: str) -> Page:
    wish = {"kind": "question", "subject": "A question", "text": "Why does it wait?", **typed}
    page = await browser.get("/support")
    return await browser.post("/support", {**page.form("/support").fields, **wish})


async def test_nobody_has_written_yet(ada: Browser) -> None:
    page = await ada.get("/support")

    assert "No messages yet" in page.text
    assert page.form("/support").fields.keys() == {"form_token", "kind", "subject", "text"}


async def test_a_message_is_answered_replied_to_and_closed(
    ada: Browser, dashboard: Dashboard
) -> None:
    sent = await write(ada, kind="bug", subject="It waits", text="Line one\r\nline two")
    path = sent.path.partition("?")[0]
    assert "Your message is with us" in sent.text
    assert "Something that does not work" in sent.text
    assert "Line one\nline two" in sent.html
    assert "with us" in (await ada.get("/support")).text

    await support.answer(dashboard.ports, path.rpartition("/")[2], "A model rests.")
    answered = await ada.get(path)
    assert "A model rests." in answered.text
    assert "answered" in (await ada.get("/support")).text
    replied = await ada.send(answered, f"{path}/reply", text="Thank you.")
    assert "Thank you." in replied.text
    closed = await ada.send(replied, f"{path}/close")
    again = await ada.send(replied, f"{path}/close")
    assert closed.path == again.path == f"{path}?done=closed"
    assert "which opens it again" in closed.text
    opened = await ada.send(closed, f"{path}/reply", text="One more thing.")
    assert opened.form(f"{path}/close")
    assert opened.html.index("Line one") < opened.html.index("One more thing.")


async def test_what_is_sent_twice_is_there_once(ada: Browser, dashboard: Dashboard) -> None:
    sent = await asyncio.gather(*(write(ada) for _ in range(3)))
    assert len({page.path for page in sent}) == 1
    path = sent[0].path.partition("?")[0]
    replies = await asyncio.gather(
        *(ada.send(sent[0], f"{path}/reply", text="Hello?") for _ in range(3))
    )

    assert {page.path for page in replies} == {f"{path}?done=sent"}
    page = await ada.get(path)
    assert page.text.count("Hello?") == 1
    told = await mails_to(dashboard.ports, "support@example.org")
    assert [mail.kind for mail in told] == ["support_new"] * 2


async def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(ada: Browser) -> None:
    no_kind = await write(ada, kind="love letter")
    assert (no_kind.status, no_kind.wrong("kind")) == (400, "Choose what it is about.")
    assert no_kind.form("/support").fields["text"] == "Why does it wait?"

    wrong = await write(ada, kind="bug", subject=" ", text="kept")
    assert wrong.status == 400
    assert wrong.wrong("subject")
    assert not wrong.wrong("text")
    fields = wrong.form("/support").fields
    assert (fields["kind"], fields["text"]) == ("bug", "kept")

    for text in ("", "x" * 10_000, "a\x00b", "a\x07b"):
        refused = await write(ada, text=text)
        assert (refused.status, bool(refused.wrong("text"))) == (400, True)
    assert "No messages yet" in (await ada.get("/support")).text


async def test_a_reply_that_is_wrong_is_kept_below_its_thread(ada: Browser) -> None:
    sent = await write(ada)
    path = sent.path.partition("?")[0]

    wrong = await ada.send(sent, f"{path}/reply", text="x" * 5_001)
    stale = await ada.send(sent, f"{path}/reply", text="kept", form_token="0" * 64)

    assert (wrong.status, bool(wrong.wrong("text"))) == (400, True)
    assert "Why does it wait?" in wrong.text
    assert stale.status == 403
    assert stale.form(f"{path}/reply").fields["text"] == "kept"


@pytest.mark.parametrize(
    "text",
    ['</textarea><script>alert("1")</script>', "{{ 7 * 7 }}", "'\"&<>`", "☃ \u202e é"],
    ids=["tags", "template", "signs", "backwards"],
)
async def test_hostile_text_comes_back_as_text(ada: Browser, text: str) -> None:
    for page in (await write(ada, subject=text, text=text), await write(ada, kind="", text=text)):
        assert "<script>alert" not in page.html
        assert text in page.text or page.form("/support").fields["text"] == text


async def test_more_than_a_form_may_hold_is_refused(ada: Browser) -> None:
    page = await write(ada, text="x" * 70_000)

    assert page.status == 413
    assert "Too much at once" in page.text


async def test_only_so_many_are_taken_a_day(ada: Browser) -> None:
    for number in range(10):
        assert (await write(ada, text=f"number {number}")).status == 200

    refused = await write(ada, text="number 10")

    assert refused.status == 429
    assert refused.form("/support").fields["text"] == "number 10"


async def test_what_is_somebody_elses_is_not_there(
    ada: Browser, bob: Browser, dashboard: Dashboard
) -> None:
    sent = await write(ada, subject="A secret subject")
    path = sent.path.partition("?")[0]
    token = (await bob.get("/support")).form("/support").fields["form_token"]

    for strange in (path, f"/support/{new_id('msg')}", "/support/nonsense", "/support/%00"):
        assert (await bob.get(strange)).status == 404
        for act in ("reply", "close"):
            fields = {"form_token": token, "text": "mine now"}
            answer = await bob.post(f"{strange}/{act}", fields)
            assert answer.status == 404
            assert "A secret subject" not in answer.html
    thread = await support.show_any(dashboard.ports, path.rpartition("/")[2])
    assert (thread.message.state, len(thread.entries)) == ("open", 1)
