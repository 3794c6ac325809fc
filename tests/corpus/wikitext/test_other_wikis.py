"""Templates of other Wikipedias than the English one."""

import json

import pytest

from realm_tf.corpus.wikitext.article import read_article


@pytest.mark.parametrize("wikitext, text", [
    ("{{unité|5|km}} {{unité|5000|km|2}} {{Unité|5.5|m|3|s|-1}} {{unidad|9|m}} {{unité|5}}",
     "5 km 5000 km² 5.5 m³ s⁻¹ 9 m 5"),
    ("{{unité|10|à|20|km}} {{unité|20|millions|km|2}}", "10 à 20 km 20 millions km²"),
    ("CO{{ind|2}} {{IND}} {{IND|1947}} m{{exp|2}} {{rom|V}} {{ROM}}",
     "CO₂ India India m² V Romania"),
    ("{{1er}} mai, {{Ier}}, {{n°|5}}, {{M.|Ona}}, {{heure|5|30}}, {{sp-|XIX|e|-|XX|e}}",
     "1er mai, Ier, no 5, M. Ona, 5 h 30, XIXe - XXe siècles"),
    ("{{読み仮名|首都|しゅと}}は{{仮リンク|東京|en|Tokyo}}の{{ルビ|漢字|かんじ}}",
     "首都（しゅと）は東京の漢字"),
    ("{{FormatZahl|5000}} {{Höhe|500|DE-NN}} {{langue|en|Tower}}", "5,000 500 m Tower")])
def test_templates(wikitext, text):
  result = read_article(json.dumps({"title": "Here", "text": f"It: {wikitext}"}).encode())
  assert not result["dropped"]["templates"]
  assert result["text"].removeprefix("It: ") == text
