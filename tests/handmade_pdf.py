"""A PDF written by hand, for tests of what reads it."""


def pdf(*pages, title=None, content=None):
  """One line per line of each page, in Helvetica.

  Args:
    pages: their text.
    title: in the metadata.
    content: what is drawn on each page instead, packed by zlib.
  """
  objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
  kids = []
  for page in pages:
    lines = "".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n"))
    stream = content or f"BT /F1 12 Tf 72 720 Td {lines}ET".encode()
    objects += [f"<< /Length {len(stream)} {'/Filter /FlateDecode' if content else ''} >>\n"
                .encode() + b"stream\n" + stream + b"\nendstream"]
    objects += [f"<< /Type /Page /Parent 2 0 R /Contents {len(objects)} 0 R "
                "/MediaBox [0 0 612 792] /Resources << /Font << /F1 << /Type /Font "
                "/Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >> >> >>"]
    kids.append(f"{len(objects)} 0 R")
  objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
  info = ""
  if title is not None:
    objects.append(f"<< /Title ({title}) >>")
    info = f"/Info {len(objects)} 0 R"
  out, places = b"%PDF-1.4\n", []
  for number, body in enumerate(objects, 1):
    places.append(len(out))
    out += b"%d 0 obj\n" % number + (
        body.encode("latin-1") if isinstance(body, str) else body)
    out += b"\nendobj\n"
  rows = "".join(f"{place:010} 00000 n \n" for place in places)
  return out + (f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}trailer\n<< /Size "
                f"{len(objects) + 1} /Root 1 0 R {info} >>\nstartxref\n{len(out)}\n%%EOF\n"
                ).encode()
