import re

import pytest

from biobert_jax.corpus.documents import ReadOptions
from biobert_jax.corpus.readers.pmc import read_pmc

HEAD = (
    '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD '
    'v1.1 20151215//EN" "JATS-archivearticle1.dtd">\n'
)
ATTRIBUTES = (
    'xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def article(body="", title="A title", abstract="", meta="", after="", id_="1", attributes=""):
    id_ = f'<article-id pub-id-type="pmcid">{id_}</article-id>' if id_ else ""
    title = f"<title-group><article-title>{title}</article-title></title-group>"
    abstract = f"<abstract>{abstract}</abstract>" if abstract else ""
    body = f"<body>{body}</body>" if body else ""
    return (
        f"<article {ATTRIBUTES} {attributes}><front><article-meta>{id_}{title}{meta}{abstract}"
        f"</article-meta></front>{body}{after}</article>"
    )


def cite(text):
    return f'<xref rid="r" ref-type="bibr">{text}</xref>'


def write(folder, xml, name="article.nxml"):
    path = folder / name
    path.write_text(HEAD + xml, encoding="utf-8")
    return path


def passages(folder, xml, **options):
    (document,) = read_pmc(write(folder, xml), options=ReadOptions(**options))
    return list(document.passages)


def body_passages(folder, body, **options):
    return passages(folder, article(body), titles=False, **options)


WHOLE = article(
    "<sec><title>Methods</title><p>One.</p><sec><label>1.1</label><title>Mice</title>"
    "<p>Two <italic>in\nvivo</italic>.</p></sec></sec><p>Three.</p>",
    title="A <italic>title</italic>",
    abstract="<title>Abstract</title><sec><title>Aim</title><p>To see.</p></sec><p>Seen.</p>",
    after=(
        "<back><ack><p>We thank.</p></ack><ref-list><title>References</title><ref><mixed-citation>"
        "Smith J</mixed-citation></ref></ref-list><app-group><app><p>App.</p></app></app-group>"
        "</back><sub-article><body><p>A reply.</p></body></sub-article>"
    ),
)


def test_title_abstract_and_body(tmp_path):
    expected = ["A title", "To see.", "Seen.", "One.", "Two in vivo.", "Three."]
    assert passages(tmp_path, WHOLE) == expected
    assert passages(tmp_path, WHOLE, titles=False) == expected[1:]
    assert passages(tmp_path, WHOLE, section_labels=True) == (
        "A title|Abstract|Aim|To see.|Seen.|Methods|One.|Mice|Two in vivo.|Three.".split("|")
    )


@pytest.mark.parametrize("prefix", ["", "j:"])
def test_namespaces_make_no_difference(tmp_path, prefix):
    xml = article(
        "<sec><title>T</title><p>A<sup>2+</sup> <italic>b</italic>, "
        "<inline-formula><mml:math><mml:mi>xy</mml:mi></mml:math></inline-formula>c"
        f"{cite('<sup>1</sup>')}.</p></sec><sec><title>Funding</title><p>Us.</p></sec>"
    )
    xml = re.sub("(</?)(?!mml|/)", rf"\1{prefix}", xml)
    declaration = "xmlns:j" if prefix else "xmlns"
    declaration += '="https://jats.nlm.nih.gov/ns/archiving/1.3/"'
    xml = xml.replace("article ", f"article {declaration} ", 1)
    assert passages(tmp_path, xml) == ["A title", "A2+ b, c."]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>A</p><p>B</p>", ["A", "B"]),
        ("<p>a<break/>b</p>", ["a b"]),
        ("<p>A<fig><caption><p>X</p></caption></fig>b</p>", ["A b"]),
        ("<p>CO<sub>2</sub>, 10<sup>−3</sup>, Ca<sup>2+</sup></p>", ["CO2, 10−3, Ca2+"]),
        ("<p>a<!-- x -->b<?page 3?>c</p>", ["abc"]),
        ("<p>a &lt;b&gt; c &lt; 5</p>", ["a <b> c < 5"]),
        ("<p>P &amp;lt; 0.05 &amp;amp;lt; 5 at 37 &amp;#176;C, R&amp;D</p>",
         ["P < 0.05 < 5 at 37 °C, R&D"]),
        ("<p>m&lt;sup&gt;2&lt;/sup&gt;, &amp;lt;i&amp;gt;E. coli&amp;lt;/i&amp;gt;</p>",
         ["m2, E. coli"]),
        ("<p>a&nbsp;b &alpha;-helix, &b.beta;, &lgr;&oacgr;&ggr;&ohgr; &none;</p>",
         ["a b α-helix, β, λόγω &none;"]),
        ("<p>x</p><p> \n</p><p>(1)</p><p/>", ["x"]),
        (
            "<p>Two:<list><list-item><label>1.</label><p>one</p></list-item><list-item>"
            "<p>two</p><p>more</p></list-item></list>as said.</p>",
            ["Two:", "one", "two", "more", "as said."],
        ),
        (
            "<def-list><def-item><term>AB</term><def><p>a <bold>b</bold></p></def></def-item>"
            "</def-list>",
            ["AB: a b"],
        ),
        ("<disp-quote><p>Quoted.</p><attrib>Me</attrib></disp-quote>", ["Quoted."]),
        ("<boxed-text><caption><title>T</title></caption><p>Box.</p></boxed-text>", ["Box."]),
    ],
)  # fmt: skip
def test_blocks_are_apart_and_inline_markup_is_not(tmp_path, body, expected):
    assert body_passages(tmp_path, body) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p = <inline-formula><tex-math>\\x</tex-math></inline-formula>.", "p =."),
        ("the value <mml:math><mml:mi>xy</mml:mi></mml:math> is", "the value is"),
        ("so (<inline-formula><mml:math/></inline-formula>) it", "so it"),
        ("as<disp-formula>E = mc<label>(1)</label></disp-formula>where", "as where"),
        ("see<table-wrap><table><tr><td>1</td></tr></table></table-wrap>.", "see."),
        ("a <inline-graphic/> b<fn><p>Note.</p></fn> c", "a b c"),
        ("<supplementary-material><caption><p>S1</p></caption></supplementary-material>a", "a"),
        ("<media><caption><p>Click here</p></caption></media>a", "a"),
        ("a <ext-link>http://b.org</ext-link>", "a http://b.org"),
    ],
)
def test_formulas_tables_and_files_are_cut(tmp_path, text, expected):
    assert body_passages(tmp_path, f"<p>{text}</p>") == [expected]


def formula(mathml, tex="\\x"):
    math = f"<mml:math>{mathml}</mml:math>"
    return f"<inline-formula><alternatives><tex-math>{tex}</tex-math>{math}</alternatives>" + (
        "</inline-formula>"
    )


CUT = formula("<mml:mi>f</mml:mi><mml:mn>2</mml:mn>")
BLOCK = f"<disp-formula>{formula('<mml:mi>f</mml:mi>')}</disp-formula>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"the {formula('<mml:mi>α</mml:mi>')}-helix", "the α-helix"),
        (f"the {formula('<mml:mi>j</mml:mi>')}th {formula('<mml:mi>i</mml:mi>')}derived",
         "the jth i derived"),
        (f"of 5 {formula('<mml:mo>±</mml:mo>')} 3", "of 5 ± 3"),
        (f"of {formula('<mml:mrow><mml:mi> 𝛽 </mml:mi></mml:mrow>')} is", "of β is"),
        (f"37{formula('<mml:msup><mml:mrow/><mml:mo>∘</mml:mo></mml:msup>')}C", "37°C"),
        ("the <mml:math><mml:mi>x</mml:mi></mml:math> axis", "the x axis"),
        (f"10{formula('<mml:mn>3</mml:mn>')} a", "10 a"),
        (f"as{BLOCK}where x", "as where x"),
        (f"as follows:{BLOCK}where x; so {CUT}", "as follows: where x; so"),
        (f"equal;{BLOCK}Here", "equal; Here"),
    ],
)  # fmt: skip
def test_a_formula_of_one_letter_or_sign_stays(tmp_path, text, expected):
    assert body_passages(tmp_path, f"<p>{text}</p>") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"all (n = 3, {CUT}) and", "all (n = 3) and"),
        (f"all ({CUT}, FDR &lt; 0.05) and", "all (FDR < 0.05) and"),
        (f"all ({CUT}; see Methods) and", "all (see Methods) and"),
        (f"all ({CUT}, {CUT} and {CUT}). For", "all. For"),
        (f"a ({CUT} for all)", "a (for all)"),
        (f"the vector {CUT} ({CUT}). So", "the vector. So"),
        (f"the matrix, {CUT}, is", "the matrix, is"),
        (f"the groups, {CUT}. These", "the groups. These"),
        (f"the parameters: {CUT}, reducing", "the parameters: reducing"),
        (f"of NO and {CUT}, which", "of NO, which"),
        (f"where {CUT}, {CUT} and {CUT} are", "where are"),
        (f"with {CUT}, {CUT}- and {CUT}-values", "with -values"),
        (f"a &lt; {CUT}) b", "a <) b"),
        (f"was 3 {CUT} .5 or 3{CUT},5 or 9{CUT}10", "was 3 .5 or 3 ,5 or 9 10"),
    ],
)
def test_what_a_formula_needed_goes_with_it(tmp_path, text, expected):
    assert body_passages(tmp_path, f"<p>{text}</p>") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"cells [{cite('1')}, {cite('2')}].", "cells [1, 2]."),
        (f"cells ({cite('Smith, 2010')}) and", "cells (Smith, 2010) and"),
        (f"cells<sup>{cite('1')},{cite('2')}</sup>.", "cells."),
        (f"cells <sup>{cite('1')}–{cite('3')}</sup> and", "cells and"),
        (f"cells.{cite('<sup>1</sup>')} The", "cells. The"),
        (f"cells{cite('<sup>1</sup>')},{cite('<sup>2</sup>')} and", "cells and"),
        (f"cells<sup>[</sup>\n{cite('<sup>1</sup>')}\n<sup>]</sup> and", "cells and"),
        (f"cells<sup>[</sup>{cite('1')}<sup>]</sup> and", "cells and"),
        (f"cells{cite('1')}{cite('2')}, and", "cells, and"),
        (f"cells{cite('12')},{cite('13')}–{cite('15')} and", "cells and"),
        (f"cells.{cite('12')} The", "cells. The"),
        (f"cells,{cite('12')} which", "cells, which"),
        (f"IL-2<sup>{cite('3')}</sup>-dependent", "IL-2-dependent"),
        (f"see ref. {cite('12')} and ref.{cite('12')}", "see ref. 12 and ref.12"),
        (f"10<sup>3</sup> m [{cite('12')}]", "103 m [12]"),
        (f"Ca<sup>2+</sup> ({cite('12')})", "Ca2+ (12)"),
        (f"cells [{cite('1')},{cite('2')},{cite('3')}]", "cells [1,2,3]"),
        (f"was used.{cite('12')}, {cite('18')} Virologic", "was used. Virologic"),
        (f"group.{cite('9 11')} Up to", "group. Up to"),
        (f"group.{cite('1–3 9, 11')} Up to", "group. Up to"),
        (f"and{cite('3')}; {cite('7')} rats", "and rats"),
        (f"shown{cite('3')} and {cite('7')} in rats", "shown in rats"),
        (f"cells<sup>{cite('1')}</sup>, {cite('2')}, {cite('3')} This", "cells This"),
        (f"candidiasis.<sup>{cite('7')},{cite('8')}</sup>In", "candidiasis. In"),
        (f"candidiasis<sup>{cite('7')}</sup>(Fig. 2)", "candidiasis (Fig. 2)"),
        (f"in 2009.{cite('4')} Moreover", "in 2009. Moreover"),
        (f"by 55%.{cite('5')} However,{cite('6')} no", "by 55%. However, no"),
        (f"(IITA).{cite('33')} The", "(IITA). The"),
        (f"in 2010,{cite('31')} mainly", "in 2010, mainly"),
        (f"vitamin C.{cite('31')} The", "vitamin C. The"),
        (f"[{cite('87')}].{cite('8')} Thus", "[87]. Thus"),
        (f"[12,{cite('13')}] and (1; {cite('2')})", "[12,13] and (1; 2)"),
        (f"Smith et al. {cite('<sup>2021</sup>')} and", "Smith et al. 2021 and"),
        (f"Smith et al.{cite('<sup>2021a</sup>')} and", "Smith et al. 2021a and"),
        (f"Smith (<sup>{cite('2021')}</sup>) and", "Smith (2021) and"),
        (f"Smith, {cite('2019')}; Wu, {cite('2020')},{cite('2021')}", "Smith, 2019; Wu, 2020,2021"),
        (
            f"in Ref.<sup>{cite('12')}</sup>, and in ref. {cite('<sup>1</sup>')},",
            "in Ref. 12, and in ref. 1,",
        ),
        (f"references<sup>{cite('6')},{cite('7')}</sup>.The end", "references 6,7.The end"),
        (f"cells<sup>{cite('6')},{cite('7')}</sup>.The end", "cells. The end"),
        (f"(e.g. cells<sup>{cite('6')}</sup>,) or", "(e.g. cells) or"),
        (f"Ref. {cite('12')} and Ref.{cite('12')}", "Ref. 12 and Ref.12"),
        ('trials<xref ref-type="fn">a</xref> of <xref ref-type="fn">†</xref>', "trials of"),
        ('Fig<xref ref-type="fig">1</xref>', "Fig1"),
        ('text<xref ref-type="fn"><sup>a</sup></xref>.', "text."),
        ('text<sup><xref ref-type="fn">*</xref></sup>.', "text."),
    ],
)
def test_raised_numbers_of_references_are_cut_and_others_stay(tmp_path, text, expected):
    assert body_passages(tmp_path, f"<p>{text}</p>") == [expected]


@pytest.mark.parametrize(
    "title",
    "Funding|Competing interests|6. Conflict of Interest Statement|Author contributions|"
    "Authors' contributions|Authors’ Contributions|Supporting Information|Additional files|"
    "Data Availability Statement|Acknowledgements|Electronic supplementary material|"
    "<bold>Abbreviations:</bold>|Ethics approval and consent to participate|2.7. Data Availability|"
    "CRediT authorship contribution statement|Institutional Review Board Statement|"
    "Informed Consent Statement|Sources of support|Role of the funding source|"
    "Declaration of conflicting interests|Appendix A. Supplementary data".split("|"),
)
def test_sections_that_are_back_matter_are_cut(tmp_path, title):
    section = f"<sec><title>{title}</title><p>Cut.</p></sec>"
    others = ("Funding of cancer research", "Ethical considerations", "Informed consent", "Data")
    kept = "".join(f"<sec><title>{x}</title><p>{x}.</p></sec>" for x in others)
    assert body_passages(tmp_path, section + kept) == [f"{x}." for x in others]
    xml = article("<p>Body.</p>", abstract=section)
    assert passages(tmp_path, xml) == ["A title", "Body."]


def test_section_types_of_back_matter_are_cut(tmp_path):
    body = '<sec sec-type="supplementary-material"><title>More</title><p>Cut.</p></sec><p>Kept.</p>'
    assert body_passages(tmp_path, body) == ["Kept."]


def test_captions_come_last(tmp_path):
    fig = (
        "<fig><label>Figure 1</label><caption><title>Mice.</title><p>Ten <inline-formula>xy"
        "</inline-formula> mice.<table-wrap><caption><p>Inner.</p></caption></table-wrap></p>"
        "</caption><graphic/></fig>"
    )
    table = "<table-wrap><caption><p>Data.</p></caption><table><td>1</td></table></table-wrap>"
    file = "<supplementary-material><caption><p>A file.</p></caption></supplementary-material>"
    xml = article(
        f"<p>One{fig}.</p>{file}<p>Two.</p>", after=f"<floats-group>{table}</floats-group>"
    )
    assert passages(tmp_path, xml) == ["A title", "One.", "Two."]
    assert passages(tmp_path, xml, captions=True) == [
        "A title", "One.", "Two.", "Mice. Ten mice.", "Inner.", "Data."
    ]  # fmt: skip


def test_short_kinds_of_abstract_are_left_out(tmp_path):
    extra = "".join(
        f'<abstract abstract-type="{x}"><p>{x}</p></abstract>'
        for x in ("teaser", "graphical", "toc", "web-summary")
    )
    xml = article(abstract="<p>Real.</p>", meta=extra)
    assert passages(tmp_path, xml) == ["A title", "web-summary", "Real."]
