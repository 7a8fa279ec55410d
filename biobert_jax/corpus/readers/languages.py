"""Language codes: PubMed writes three letters ("eng"), JATS two ("en")."""

# ISO 639-1 and 639-2/T to MEDLINE's codes, which are ISO 639-2/B's, for the languages in which
# nearly all of PubMed and PMC is written.
# Source: https://www.nlm.nih.gov/bsd/language_table.html
_MEDLINE_CODES = {
    code: codes.split()[0]
    for codes in (
        "afr af;ara ar;bul bg;chi zh zho;cze cs ces;dan da;dut nl nld;eng en;est et;fin fi;"
        "fre fr fra;ger de deu;gre el ell;heb he;hin hi;hrv hr;hun hu;ice is isl;ind id;ita it;"
        "jpn ja;kor ko;lat la;lav lv;lit lt;may ms msa;nor no nb nn nob nno;per fa fas;pol pl;"
        "por pt;rum ro ron;rus ru;slo sk slk;slv sl;spa es;srp sr;swe sv;tha th;tur tr;ukr uk;"
        "vie vi"
    ).split(";")
    for code in codes.split()
}


def medline_code(code: str) -> str:
    """MEDLINE's code of a language: "eng" for "en", "en-US" and "eng"; others in lower case."""
    code = code.strip().lower().split("-")[0].split("_")[0]
    return _MEDLINE_CODES.get(code, code)
