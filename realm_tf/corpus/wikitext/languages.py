"""Names of languages by their codes (ISO 639), as Wikipedia's articles give words in them."""

LANGUAGES = dict(pair.replace("_", " ").split(":") for pair in """
  aa:Afar af:Afrikaans am:Amharic an:Aragonese ang:Old_English ar:Arabic ast:Asturian
  az:Azerbaijani be:Belarusian bg:Bulgarian bn:Bengali bo:Tibetan br:Breton bs:Bosnian
  ca:Catalan co:Corsican cs:Czech cy:Welsh da:Danish de:German el:Greek en:English
  eo:Esperanto es:Spanish et:Estonian eu:Basque fa:Persian fi:Finnish fo:Faroese fr:French
  fro:Old_French fy:West_Frisian ga:Irish gd:Scottish_Gaelic gl:Galician grc:Ancient_Greek
  gsw:Swiss_German gu:Gujarati gv:Manx ha:Hausa haw:Hawaiian he:Hebrew hi:Hindi hr:Croatian
  ht:Haitian_Creole hu:Hungarian hy:Armenian id:Indonesian ig:Igbo is:Icelandic it:Italian
  ja:Japanese jv:Javanese ka:Georgian kk:Kazakh km:Khmer kn:Kannada ko:Korean ku:Kurdish
  kw:Cornish ky:Kyrgyz la:Latin lb:Luxembourgish lo:Lao lt:Lithuanian lv:Latvian mg:Malagasy
  mi:Māori mk:Macedonian ml:Malayalam mn:Mongolian mr:Marathi ms:Malay mt:Maltese my:Burmese
  nah:Nahuatl nb:Norwegian_Bokmål nds:Low_German ne:Nepali nl:Dutch nn:Norwegian_Nynorsk
  no:Norwegian non:Old_Norse oc:Occitan or:Odia pa:Punjabi pl:Polish ps:Pashto pt:Portuguese
  qu:Quechua rm:Romansh ro:Romanian ru:Russian rw:Kinyarwanda sa:Sanskrit sc:Sardinian
  scn:Sicilian sco:Scots sd:Sindhi se:Northern_Sami sh:Serbo-Croatian si:Sinhala sk:Slovak
  sl:Slovene sm:Samoan so:Somali sq:Albanian sr:Serbian su:Sundanese sv:Swedish sw:Swahili
  syr:Syriac ta:Tamil te:Telugu tg:Tajik th:Thai tk:Turkmen tl:Tagalog to:Tongan tr:Turkish
  tt:Tatar ug:Uyghur uk:Ukrainian ur:Urdu uz:Uzbek vi:Vietnamese vec:Venetian wa:Walloon
  rus:Russian ger:German fra:French deu:German
  wo:Wolof xh:Xhosa yi:Yiddish yo:Yoruba yue:Cantonese zh:Chinese zu:Zulu
""".split())
