"""Formulas in TeX as a line of text, where they read as one: `5 \\times 10^3` is 5 × 10³."""

import re

from realm_tf.corpus.small_figures import subscript, superscript
from realm_tf.corpus.wikitext.chemistry import read_chemistry
from realm_tf.corpus.wikitext.formula_rows import in_one_row

_MOST_CHARACTERS = 400
_SIGNS = dict(pair.split(":", 1) for pair in """
  times:× cdot:· div:÷ pm:± mp:∓ approx:≈ sim:~ simeq:≃ cong:≅ equiv:≡ leq:≤ le:≤ geq:≥ ge:≥
  neq:≠ ne:≠ ll:≪ gg:≫ propto:∝ infty:∞ to:→ rightarrow:→ Rightarrow:⇒ leftarrow:← iff:⇔
  Leftrightarrow:⇔ mapsto:↦ ldots:… dots:… cdots:… circ:∘ degree:° prime:′ sum:∑ prod:∏ int:∫
  partial:∂ nabla:∇ in:∈ notin:∉ subset:⊂ subseteq:⊆ cup:∪ cap:∩ emptyset:∅ forall:∀ exists:∃
  neg:¬ land:∧ lor:∨ wedge:∧ vee:∨ oplus:⊕ otimes:⊗ perp:⊥ parallel:∥ angle:∠ hbar:ℏ ell:ℓ
  alpha:α beta:β gamma:γ delta:δ epsilon:ε varepsilon:ε zeta:ζ eta:η theta:θ iota:ι kappa:κ
  lambda:λ mu:μ nu:ν xi:ξ pi:π rho:ρ sigma:σ tau:τ upsilon:υ phi:φ varphi:φ chi:χ psi:ψ
  omega:ω Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Phi:Φ Psi:Ψ Omega:Ω langle:⟨
  rangle:⟩ mid:| vert:| quad:\u2002 qquad:\u2002 star:⋆ ast:∗ setminus:∖ implies:⇒
  impliedby:⇐ longrightarrow:⟶ leftrightarrow:↔ uparrow:↑ downarrow:↓ hookrightarrow:↪
  geqslant:≥ leqslant:≤ gtrsim:≳ lesssim:≲ nmid:∤ varnothing:∅ supset:⊃ supseteq:⊇ ni:∋
  subsetneq:⊊ models:⊨ vdash:⊢ top:⊤ bot:⊥ lnot:¬ bullet:• dagger:† aleph:ℵ Re:ℜ Im:ℑ
  odot:⊙ lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ lvert:| rvert:| lVert:‖ rVert:‖ Vert:‖ iint:∬
  oint:∮ colon:: N:N Z:Z Q:Q R:R C:C bmod:mod triangle:△ square:□ vdots:⋮ varpi:ϖ
""".split())
_NAMES = frozenset("sin cos tan cot sec csc log ln lg exp max min lim sup inf det dim ker "
                   "gcd arcsin arccos arctan sinh cosh tanh mod deg Pr".split())
_NO_SIGN = frozenset("left right big Big bigg Bigg bigl bigr displaystyle textstyle limits "
                     "scriptstyle rm bf it Bigl Bigr biggl biggr Biggl Biggr middle "
                     "nolimits".split())
_RELATIONS = frozenset("≈~≃≅≡≤≥≠≪≫∝→⇒←⇔↦∈∉⊂⊆∘")
_WRAPS = re.compile(r"\\(?:text|textrm|textit|textbf|mathrm|mathbf|mathit|mathsf|mathcal"
                    r"|mathbb|mathfrak|operatorname|mbox|boldsymbol|bar|overline|hat|vec"
                    r"|tilde|dot|ddot|underline|widehat|widetilde|underbrace|overbrace|boxed"
                    r"|mathop|mathscr|mathord|overrightarrow)(?![a-zA-Z])\*?\s*"
                    r"(?:\{([^{}]*)\}|(\\[a-zA-Z]+|\w))")
_PART = r"\s*(?:\{([^{}]*)\}|([\da-zA-Z]))"
_FRACTION = re.compile(rf"\\[dtc]?frac(?![a-zA-Z]){_PART}{_PART}")
_CHOICE = re.compile(rf"\\[dt]?binom(?![a-zA-Z]){_PART}{_PART}")
_BARE = re.compile(rf"(?<=[\^_])\s*(\\[dtc]?(?:frac|binom)(?![a-zA-Z]){_PART}{_PART})")
# As plain TeX has them: {n \choose k}, {1 \over 2}.
_AMID = re.compile(r"\{([^{}]*)\\(choose|over|atop)(?![a-zA-Z])([^{}]*)\}")
# What stands above or below something: {mark}{thing}.
_STACKED = re.compile(rf"\\(overset|stackrel|underset)(?![a-zA-Z]){_PART}"
                      r"\s*(?:\{([^{}]*)\}|(\\[a-zA-Z]+|[^\s{}]))")
_MODULO = re.compile(r"\\pmod\s*(?:\{([^{}]*)\}|(\w))")
_NOT = {"=": "≠", "\\in": "∉", "\\equiv": "≢", "\\subset": "⊄", "<": "≮", ">": "≯"}
_NOT_SIGN = re.compile(r"\\not\s*(=|<|>|\\(?:in|equiv|subset)(?![a-zA-Z]))")
_ROOT = re.compile(r"\\sqrt\s*(?:\[([^\]]*)\])?\s*(?:\{([^{}]*)\}|(\d))")
_HIGH = re.compile(r"\^\s*(?:\{([^{}]*)\}|(\\[a-zA-Z]+|[^\\{}()\s]))")
_LOW = re.compile(r"_\s*(?:\{([^{}]*)\}|(\\[a-zA-Z]+|[^\\{}()\s]))")
_RAISED = {"\\circ": "°", "\\prime": "′"}
_TALL = re.compile("[.⁰¹²³⁴-⁹ⁿ]")  # no exponent can be drawn so
_CLOSE = re.compile("[₀-₉⁰-⁹¹²³_^(),.|]|$")  # what stands close behind a name
_COMMAND = re.compile(r"\\([a-zA-Z]+) ?")


def read_formula(tex: str) -> str | None:
  """The formula as it reads; None where a line of text cannot hold it."""
  if len(tex) > _MOST_CHARACTERS or "\\begin" in (tex := in_one_row(tex)):
    return None
  if reaction := re.fullmatch(r"\\ce\s*\{(.*)\}", tex, re.DOTALL):
    return read_chemistry(reaction[1])
  text, before = re.sub(r"\\[,;:! ]|~", " ", tex).replace("\\|", "‖"), ""
  text = text.replace("'''", "‴").replace("''", "″")  # f'' is no mark of italics
  text = re.sub(r"\\([%$&#_])", r"\1", text) if "\\_" not in text else text
  text = _MODULO.sub(lambda match: f" (\\mod {match[1] or match[2]})", text)
  text = _NOT_SIGN.sub(lambda match: f" {_NOT[match[1]]} ", text)
  while text != before:  # what is innermost first
    before = text
    text = _WRAPS.sub(lambda match: match[1] if match[2] is None else match[2], text)
    text = _BARE.sub(r"{\1}", text)
    text = _HIGH.sub(_exponent, text)
    text = _LOW.sub(lambda match: _script(match, "_", subscript), text)
    text = _FRACTION.sub(_fraction, text)
    text = _CHOICE.sub(lambda match: _chosen(*_parts(match)), text)
    text = _AMID.sub(_amid, text)
    text = _STACKED.sub(_stacked, text)
    text = _ROOT.sub(lambda match: superscript(match[1] or "") + "√" + _whole(
        match[2] or match[3] or ""), text)
  text = _COMMAND.sub(_sign, text)
  if "\\" in text.replace("\\{", "").replace("\\}", ""):
    return None
  braces = re.sub(r"(?<!\\)[{}]", "", text)
  return re.sub(r"\s+", " ", braces.replace("\\", "")).strip() or None


def _sign(match: re.Match) -> str:
  name = match[1]
  if name in _NO_SIGN:
    return ""
  if name in _NAMES:
    before, after = match.string[:match.start()][-1:], match.string[match.end():][:1]
    apart = "" if _CLOSE.match(after) else " "
    return f"{' ' if before.isalnum() else ''}{name}{apart}"
  sign = _SIGNS.get(name)
  if sign is None:
    return match.group()
  if sign in _RELATIONS:
    return f" {sign} "
  return f"{sign} " if match.group().endswith(" ") else sign


def _parts(match: re.Match) -> tuple[str, str]:
  """The two that a command takes, each in braces or a single sign."""
  return match[1] or match[2] or "", match[3] or match[4] or ""


def _fraction(match: re.Match) -> str:
  """Parted from a figure before it: 5 1/2 is not 51/2."""
  gap = " " if match.string[:match.start()].rstrip()[-1:].isdigit() else ""
  return gap + "/".join(map(_whole, _parts(match)))


def _chosen(above: str, below: str) -> str:
  return f"({above.strip()} choose {below.strip()})"


def _amid(match: re.Match) -> str:
  above, name, below = match.groups()
  if name == "over":
    return f"\\frac{{{above}}}{{{below}}}"
  return _chosen(above, below) if name == "choose" else f"({above.strip()}, {below.strip()})"


def _stacked(match: re.Match) -> str:
  """\\underset{x}{y} is y_{x}."""
  mark = "_" if match[1] == "underset" else "^"
  return f"{{{match[4] or match[5]}}}{mark}{{{match[2] or match[3] or ''}}}"


def _exponent(match: re.Match) -> str:
  return _script(match, "^", superscript)


def _script(match: re.Match, mark: str, raised) -> str:
  """An exponent or index as small figures, where all of it has them."""
  text = _HIGH.sub(_exponent, (match[1] if match[1] is not None else match[2]).strip())
  if text in _RAISED:
    return _RAISED[text]
  shown, is_high = raised(text), mark == "^"
  # A figure behind the mark is read once more; of 10⁶ above the line 10¹⁰⁶ would be left.
  if re.search(r"[\w=+(/−-]", shown, re.ASCII) or (is_high and _TALL.search(text)):
    if re.search(r"^n|[\d.⁰¹²³⁴-⁹ⁿ]" if is_high else r"^\d", text, re.ASCII):
      return f"{mark}({text})"
    return f"{mark}{_whole(text)}" if is_high or len(text) > 1 else f"_{text}"
  return shown


def _whole(text: str) -> str:
  """In brackets, unless it is one thing."""
  text = text.strip()
  return text if re.fullmatch(r"[\w.,√⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉]+|\\[a-zA-Z]+", text) else f"({text})"
