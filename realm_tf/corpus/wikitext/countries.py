"""Templates of flags, which show a country by its code, and who competed for it."""

from typing import Callable

from realm_tf.corpus.wikitext.call import Call

# By the codes of ISO 3166 and of the Olympic Committee, as flags' templates take both.
_COUNTRIES = dict(pair.replace("_", " ").split(":") for pair in """
  AFG:Afghanistan ALB:Albania ALG:Algeria DZA:Algeria AND:Andorra ANG:Angola AGO:Angola
  ARG:Argentina ARM:Armenia AUS:Australia AUT:Austria AZE:Azerbaijan BAH:Bahamas
  BHR:Bahrain BAN:Bangladesh BGD:Bangladesh BAR:Barbados BLR:Belarus BEL:Belgium BIZ:Belize
  BEN:Benin BOL:Bolivia BIH:Bosnia_and_Herzegovina BOT:Botswana BWA:Botswana BRA:Brazil
  BUL:Bulgaria BGR:Bulgaria BUR:Burkina_Faso CAM:Cambodia KHM:Cambodia CMR:Cameroon
  CAN:Canada CHI:Chile CHL:Chile CHN:China TPE:Chinese_Taipei COL:Colombia CRC:Costa_Rica
  CRI:Costa_Rica CRO:Croatia HRV:Croatia CUB:Cuba CYP:Cyprus CZE:Czech_Republic
  TCH:Czechoslovakia CIV:Ivory_Coast DEN:Denmark DNK:Denmark DOM:Dominican_Republic
  GDR:East_Germany ECU:Ecuador EGY:Egypt SLV:El_Salvador ESA:El_Salvador ENG:England
  ERI:Eritrea EST:Estonia ETH:Ethiopia FIJ:Fiji FJI:Fiji FIN:Finland FRA:France GAB:Gabon
  GEO:Georgia GER:Germany DEU:Germany GHA:Ghana GBR:Great_Britain GRE:Greece GRC:Greece
  GUA:Guatemala GTM:Guatemala GUI:Guinea GIN:Guinea GUY:Guyana HAI:Haiti HTI:Haiti
  HON:Honduras HND:Honduras HKG:Hong_Kong HUN:Hungary ISL:Iceland IND:India INA:Indonesia
  IDN:Indonesia IRN:Iran IRI:Iran IRQ:Iraq IRL:Ireland ISR:Israel ITA:Italy JAM:Jamaica
  JPN:Japan JOR:Jordan KAZ:Kazakhstan KEN:Kenya KUW:Kuwait KWT:Kuwait KGZ:Kyrgyzstan
  LAT:Latvia LVA:Latvia LIB:Lebanon LBN:Lebanon LBA:Libya LBY:Libya LIE:Liechtenstein
  LTU:Lithuania LUX:Luxembourg MAD:Madagascar MAS:Malaysia MYS:Malaysia MLI:Mali MLT:Malta
  MEX:Mexico MDA:Moldova MON:Monaco MCO:Monaco MGL:Mongolia MNG:Mongolia MNE:Montenegro
  MAR:Morocco MOZ:Mozambique NAM:Namibia NEP:Nepal NPL:Nepal NED:Netherlands
  NLD:Netherlands NZL:New_Zealand NGR:Nigeria NGA:Nigeria PRK:North_Korea
  MKD:North_Macedonia NIR:Northern_Ireland NOR:Norway OMA:Oman OMN:Oman PAK:Pakistan
  PAN:Panama PAR:Paraguay PRY:Paraguay PER:Peru PHI:Philippines PHL:Philippines POL:Poland
  POR:Portugal PRT:Portugal PUR:Puerto_Rico QAT:Qatar ROU:Romania ROM:Romania RUS:Russia
  RWA:Rwanda KSA:Saudi_Arabia SAU:Saudi_Arabia SCO:Scotland SEN:Senegal SRB:Serbia
  SCG:Serbia_and_Montenegro SGP:Singapore SIN:Singapore SVK:Slovakia SLO:Slovenia
  SVN:Slovenia RSA:South_Africa ZAF:South_Africa KOR:South_Korea URS:Soviet_Union
  ESP:Spain SRI:Sri_Lanka LKA:Sri_Lanka SUD:Sudan SDN:Sudan SUR:Suriname SWE:Sweden
  SUI:Switzerland CHE:Switzerland SYR:Syria TWN:Taiwan TJK:Tajikistan TAN:Tanzania
  TZA:Tanzania THA:Thailand TRI:Trinidad_and_Tobago TTO:Trinidad_and_Tobago TUN:Tunisia
  TUR:Turkey UGA:Uganda UKR:Ukraine UAE:United_Arab_Emirates ARE:United_Arab_Emirates
  UK:United_Kingdom USA:United_States US:United_States URU:Uruguay URY:Uruguay
  UZB:Uzbekistan VEN:Venezuela VIE:Vietnam VNM:Vietnam WAL:Wales FRG:West_Germany
  YUG:Yugoslavia ZAM:Zambia ZMB:Zambia ZIM:Zimbabwe ZWE:Zimbabwe
""".split())
# Names that templates of another meaning have, too, or with other arguments.
_NO_TEMPLATES = frozenset("US UK AND BAR BEN CAM COL DOM ESP FIN GIN GUY HON LIB MAD MAR MON "
                          "PAN PAR PER PHI SIN SUD SUR TAN".split())
_FLAGS = """
  flag|flagcountry|flagu|flaglist|flagioc|flagteam|flagcgf|fb|fbw|fb-rt|fbw-rt|cr
  |cr-rt|crw|ru|ru-rt|rut|rl|bk|bkw|vb|vbw|hb|ih|ihw|nft|flagcountry2|flag country
"""


def _country(call: Call) -> str:
  """{{flag|FRA|1815}}, {{fb|France}} -> France"""
  named = call.get("name") or call.need(0)
  return _COUNTRIES.get(named, named)


def _under_21(call: Call) -> str:
  """{{fbu|21|France}} -> France U21"""
  code = call.need(1)
  return f"{_COUNTRIES.get(code, code)} U{call.at(0)}"


def _competitor(call: Call) -> str:
  """{{flagIOCathlete|Ann B|USA|2012 Summer}} -> Ann B (USA)"""
  return f"{call.need(0)} ({call.at(1)})" if call.at(1) else call.need(0)


def _called(name: str) -> Callable[[Call], str]:
  return lambda call: call.get("name") or name


COUNTRY_TEMPLATES: dict[str, Callable[[Call], str]] = {
    **{code.casefold(): _called(name) for code, name in _COUNTRIES.items()
       if code not in _NO_TEMPLATES},
    **dict.fromkeys("".join(_FLAGS.split()).split("|"), _country),
    **dict.fromkeys(("fbu", "fbwu"), _under_21),
    **dict.fromkeys(("flagiocathlete", "flagiocmedalist", "flagcgfathlete", "flagathlete",
                     "flagmedalist"), _competitor)}
