"""{{pop density}}: how many people live on a unit of area, which the page computes."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.units import unit_name

_LEAST_WHOLE = 10  # below it there are decimals


def _density(call: Call) -> str:
  """{{pop density|1500|3|km2|sqmi}} -> 500/km²"""
  try:
    people, area = (Decimal(call.need(place).replace(",", "")) for place in (0, 1))
    density = people / area
    default = 0 if abs(density) >= _LEAST_WHOLE else 1 if abs(density) >= 1 else 2
    places = int(call.get("prec") or default)
    if abs(places) > 9 or not density.is_finite() or abs(density) > 10 ** 9:
      raise Unrendered
    shown = density.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
  except (ArithmeticError, InvalidOperation, ValueError):
    raise Unrendered from None
  return f"{shown:,f}/{unit_name(call.at(2, 'km2'))}"


DENSITY_TEMPLATES = dict.fromkeys(
    ("pop density", "population density", "popdensity", "pop dens"), _density)
