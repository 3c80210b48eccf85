"""Charts are drawn as text: whatever is no number in them is escaped."""

import re

from services.accounts.pages import charts
from services.accounts.pages.charts import Bar

STRANGE = '<img src=x onerror="alert(1)"> & more'
ESCAPED = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; &amp; more"


def test_texts_are_escaped_wherever_they_stand() -> None:
    drawn = charts.stacked([Bar(STRANGE, STRANGE, [1])], unit=STRANGE, name=STRANGE)

    assert "<img" not in drawn
    # The name, three lines of the grid, the label, the title, and the title in words.
    assert drawn.count(ESCAPED) == 7


def test_bars_stand_on_one_another_and_reach_the_height_of_their_sum() -> None:
    drawn = charts.stacked([Bar("00:00", "both", [2, 8, 0])], unit="", name="n")

    assert 'class="a" x="92.0" y="120.0" width="340.1" height="28.0"' in drawn
    assert 'class="b" x="92.0" y="8.0" width="340.1" height="112.0"' in drawn
    assert 'class="c"' not in drawn


def test_every_other_label_may_be_left_out_where_there_is_little_room() -> None:
    bars = [Bar(f"{hour:02}:00", "one", [1]) for hour in range(24)]

    drawn = charts.stacked(bars, unit="", name="n")

    labels = re.findall(r'text-anchor="middle"( class="every-other")?>(..:00)<', drawn)
    assert [text for _, text in labels] == ["00:00", "04:00", "08:00", "12:00", "16:00", "20:00"]
    assert [bool(narrow) for narrow, _ in labels] == [False, True] * 3


def test_nothing_is_said_to_be_nothing() -> None:
    assert "Nothing yet." in charts.stacked([Bar("00:00", "none", [0, 0])], unit="", name="n")
