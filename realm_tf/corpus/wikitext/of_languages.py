"""What Wikipedias of several languages call sections without sentences, and files.

A dump names its own namespaces, too; these are for those of which it says nothing, as the
English names hold in all.
"""


def _listed(names: str) -> frozenset[str]:
  return frozenset(" ".join(names.split()).split("|"))


END_SECTIONS = _listed("""
references|notes|footnotes|citations|external links|see also|further reading|bibliography|
sources|notes and references|references and notes|works cited|gallery|einzelnachweise|
weblinks|siehe auch|literatur|notes et références|voir aussi|liens externes|bibliographie|
véase también|referencias|enlaces externos|bibliografía|note|voci correlate|
collegamenti esterni|altri progetti|примечания|ссылки|литература|脚注|関連項目|
外部リンク|出典|références|fußnoten|anmerkungen|см. также|источники|
przypisy|linki zewnętrzne|zobacz też|bibliografia|referenties|externe links|externe link|
zie ook|bronnen|referências|ver também|ligações externas|ver tamén|ligazóns externas|
referenser|externa länkar|se även|källor|noter|referencer|eksterne henvisninger|se også|
eksterne lenker|referanser|kilder|примітки|посилання|джерела|література|див. також|
kaynakça|dış bağlantılar|ayrıca bakınız|externí odkazy|související články|reference|
jegyzetek|források|további információk|kapcsolódó szócikkek|külső hivatkozások|
legături externe|vezi și|lähteet|aiheesta muualla|katso myös|viitteet|
referències|vegeu també|enllaços externs|παραπομπές|εξωτερικοί σύνδεσμοι|δείτε επίσης|
مراجع|المراجع|وصلات خارجية|انظر أيضا|انظر أيضًا|منابع|پیوند به بیرون|جستارهای وابسته|
הערות שוליים|קישורים חיצוניים|ראו גם|参考文献|外部链接|外部連結|參考文獻|参见|參見|參看|
注释|註釋|각주|외부 링크|같이 보기|참고 문헌|tham khảo|liên kết ngoài|xem thêm|
referensi|pranala luar|lihat pula|सन्दर्भ|बाहरी कड़ियाँ|इन्हें भी देखें
""".replace("|\n", "|"))

# What links to pictures, sounds and categories begin with.
WITHOUT_TEXT = frozenset("""
  file image media category datei bild kategorie fichier catégorie archivo imagen categoría
  immagine categoria ficheiro imagem plik grafika kategoria файл изображение категория bestand
  afbeelding fil kategori soubor kategórie tiedosto luokka dosya resim ファイル 画像 カテゴリ
  文件 分类 檔案 파일 분류 ملف תמונה קטגוריה קובץ
  fájl kép kategória fitxer imatge berkas gambar fișier categorie datoteka slika súbor obrázok
  kategorija зображення слика датотека αρχείο κατηγορία پرونده رده चित्र श्रेणी ไฟล์
  หมวดหมู่ تصنيف 分類 圖像 图像 fitxategi dosiero kategorio pilt
""".split())
