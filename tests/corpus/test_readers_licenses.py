import pytest
from lxml import etree

from biobert_jax.corpus.readers.languages import medline_code
from biobert_jax.corpus.readers.licenses import article_license, license_name, wanted_licenses
from biobert_jax.errors import UserError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC BY", "CC BY"), ("cc-by", "CC BY"), ("CC_BY 4.0", "CC BY"), ("ccby", "CC BY"),
        ("CC0", "CC0"), ("cc-0", "CC0"), ("CC BY-NC", "CC BY-NC"), ("CC-BY-NC-SA", "CC BY-NC-SA"),
        ("CC BY-ND-NC 1.0", "CC BY-NC-ND"), ("CC BY SA", "CC BY-SA"), ("CC BY-ND", "CC BY-ND"),
        ("http://creativecommons.org/licenses/by/4.0/", "CC BY"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/igo/", "CC BY-NC-ND"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", ""),
        ("https://creativecommons.org/licenses/bypass/4.0/", ""),
        ("CC BY 4.0 or CC BY-NC-ND 4.0", "CC BY-NC-ND"), ("CC BY-SA, CC BY-ND", ""),
        ("https://creativecommons.org/licenses/by/4.0/ (CC BY-NC)", "CC BY-NC"),
        ("ccbyncndlicense", "CC BY-NC-ND"), ("CC BY-SA-ND", ""),
        ("MIT", ""), ("open-access", ""), ("", ""), ("CC", ""), ("CC BYTE", ""),
    ],
)  # fmt: skip
def test_names(text, name):
    assert license_name(text) == name


BY, NC = (f"http://creativecommons.org/licenses/{x}/4.0/" for x in ("by", "by-nc"))
CC0 = "http://creativecommons.org/publicdomain/zero/1.0/"
WORDS = "under the terms of the Creative Commons Attribution"


@pytest.mark.parametrize(
    ("license", "name"),
    [
        (f'<license xlink:href="{NC}"><license-p>{BY}</license-p></license>', "CC BY-NC"),
        (f"<license><ali:license_ref>{NC}</ali:license_ref></license>", "CC BY-NC"),
        (f'<license><p>see <ext-link xlink:href="{BY}">here</ext-link></p></license>', "CC BY"),
        # BMC's text: the article is under CC BY, its data under CC0.
        (f"<license><license-p>{WORDS} ({BY}) ... the waiver ({CC0}) applies to the data"
         "</license-p></license>", "CC BY"),
        (f"<license><license-p>{WORDS} License, which permits</license-p></license>", "CC BY"),
        (f"<license><license-p>{WORDS}-NonCommercial-No Derivatives License</license-p></license>",
         "CC BY-NC-ND"),
        (f"<license><license-p>{WORDS} Non-Commercial Share-Alike</license-p></license>",
         "CC BY-NC-SA"),
        ('<license license-type="cc-by-nc"><p>Free.</p></license>', "CC BY-NC"),
        ('<license license-type="creativeCommonsBy"><p>Free.</p></license>', "CC BY"),
        ('<license license-type="open-access"><p>All rights reserved.</p></license>', ""),
        ('<license license-type="us-gov"><p>In the public domain.</p></license>', ""),
        # An address that is freer than the words, in whatever form these come.
        (f'<license xlink:href="{BY}"><p>{WORDS} License, for non-commercial use</p></license>',
         "CC BY-NC"),
        (f'<license xlink:href="{BY}"><p>{WORDS}-NonCommercial-NoDerivs License</p></license>',
         "CC BY-NC-ND"),
        (f'<license xlink:href="{BY}"><p>the use is non-commercial and no modifications or '
         "adaptations are made</p></license>", "CC BY-NC-ND"),
        (f'<license xlink:href="{BY}"><p>This is CC BY-NC.</p></license>', "CC BY-NC"),
        (f'<license xlink:href="{BY}" license-type="cc-by-nc"/>', "CC BY-NC"),
        (f'<license xlink:href="{NC}"><p>{WORDS} License</p></license>', "CC BY-NC"),
        (f'<license xlink:href="{CC0}"><p>{WORDS} License</p></license>', "CC BY"),
        (f"<license><p>{WORDS} License, for commercial and non-commercial use</p></license>",
         "CC BY"),
        (f"<license><p>{WORDS} License, for any purpose, even commercially</p></license>", "CC BY"),
        (f'<license xlink:href="{BY}"/><license xlink:href="{NC}"/>', "CC BY-NC"),
        (f'<license/><license><p>{WORDS} License</p></license>', "CC BY"),
        ('<license><ali:license_ref content-type="ccbyncndlicense"/></license>', "CC BY-NC-ND"),
        ("<copyright-statement>CC BY</copyright-statement>", "CC BY"),
        (f"<copyright-statement>© Us. {WORDS} NonCommercial License</copyright-statement>",
         "CC BY-NC"),
        ("<copyright-statement>© Us. Under CC BY-NC.</copyright-statement><license><p>Free to read."
         "</p></license>", "CC BY-NC"),
        ("<copyright-statement>© 2010 Us; licensee BioMed Central</copyright-statement>", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_articles(license, name):
    meta = etree.fromstring(
        '<article-meta xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ali='
        f'"http://www.niso.org/schemas/ali/1.0/"><permissions>{license}</permissions></article-meta>'
    )
    assert article_license(meta) == name


def test_wanted_licenses():
    assert wanted_licenses(("cc-by 4.0", "CC BY", "cc0")) == {"CC BY", "CC0"}
    with pytest.raises(UserError, match="unknown licence 'GPL': use CC0, CC BY"):
        wanted_licenses(("CC0", "GPL"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [("en", "eng"), ("EN", "eng"), ("eng", "eng"), ("en-US", "eng"), ("pt_BR", "por")]
    + [("de", "ger"), ("deu", "ger"), ("ger", "ger"), ("zh-Hans", "chi"), ("xx", "xx"), ("", "")],
)
def test_language_codes(code, expected):
    assert medline_code(code) == expected
