import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.text.sentences import split_sentences

# "|" marks where a sentence ends; the text is the case without it.
CASES = [
    "One sentence without a stop",
    "We did this.| Then we did that.",
    "Is it so?| It is!| Good.",
    "Line one\n|line two",
    "See Fig. 2 for details.| See Figs. 3 and 4.",
    "As shown (Fig. S1), it grew.",
    "As shown by Smith et al. (2010), it grew.",
    "Reported by Smith et al. [12] and others.",
    "This was shown by Smith et al.| The effect was large.",
    "It was reviewed elsewhere (Smith et al.).| The effect was large.",
    "Many agents, e.g. Aspirin, were used, i.e. NSAIDs.",
    "Treated vs. Untreated mice differed.",
    "Dr. Smith and Prof. Jones agreed.",
    "There were approx. 20 mice per group, i.e. ca. 5 per cage.",
    "Strain No. 5 was used.| Strain Nos. 6 and 7 were not.",
    "The answer is no.| We stopped.",
    "Candida sp. 1 and Bacillus spp. (n = 3) grew.",
    "It was a Candida sp.| The isolate grew.",
    "Growth of E. coli and S. Typhimurium was slow.",
    "This was done by J. Smith and A. B. Jones.",
    "This was done by J.-P. Dupont.",
    "They lacked vitamin C.| The mice died.",
    "All had hepatitis B.| Patients were treated.",
    "This was significant (p < .05).| We conclude so.",
    "This was significant at p < .05 in all.",
    "It was significant (P = 0. 05) here.",
    "It was significant (P < . 05) here.",
    "A dose of 0.5 mg was given.| A dose of 1.5 mg was not.",
    "Rats were used (n=5).| Mice were not.",
    "Levels rose by 50%.| They fell later.",
    'He said "it works."| Then he left.',
    "(It worked.)| Then it failed.",
    "Enrolled in 2010.| The study ended in 2012.",
    "The volume was 10 ml.| Samples were kept.",
    "Rats got 10 mg/kg i.p.| Controls got saline.",
    "Rats got 10 mg/kg i.v. (bolus) daily.",
    "Cells died.| p53 was mutated.| mRNA fell.| c-Myc rose.| α-Synuclein stayed.",
    "Cells died.| 20 mice survived.| (Two did not.)",
    "Values were low. and then rose.",
    "1. Introduction",
    "We did two things.| 1. We looked.| 2. We wrote.",
    "Cells were bought from Sigma Inc. (St. Louis, MO).",
    "In the U.S. Food and Drug Administration rules apply.",
    "It was done in the U.S.| The rest was not.",
    "It failed...| We tried again.",
    "It works.[12]| We tried again.",
    "It works.[1, 3–5]| We tried again.",
    "BACKGROUND: Known.| METHODS: Unknown.",
    "See www.example.org and 10.1000/xyz.123 for more.",
    "A new moth, Aus bus sp. nov., is described.",
    "Blood samples etc. were taken.",
    "Samples were taken at 8 a.m. and 5 p.m. daily.",
    "Isolated from B. subtilis subsp. Natto.",
    "He was given it.  |  She was not.",
    "The cells died . | The mice lived .",
    "IL-2 was high.| IL-2R was low.",
    "A range of c. 500 km was seen.",
    "They had severe MR.| Nine had mild MS.| FIG. 2 shows more.",
    "Is it cancer?| (See below.)",
    "It works.[1\n|2] Again.",
]


def sentences(text):
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize("case", CASES)
def test_hard_cases(case):
    assert sentences(case.replace("|", "")) == [part.strip() for part in case.split("|")]


def test_there_are_no_sentences_in_blank_text():
    assert split_sentences("") == split_sentences(" \n\t \n") == []


@given(st.text() | st.text("aAZ1 \n\r.?!()[]\"'\u2028\u00a0αé") | st.text("EFig. et al.TN 0"))
def test_spans_hold_every_character_that_is_not_space_once_and_in_order(text):
    spans = split_sentences(text)
    end_before = 0
    for start, end in spans:
        assert end_before <= start < end
        assert not text[end_before:start].strip()
        assert text[start:end] == text[start:end].strip()
        assert "\n" not in text[start:end]
        end_before = end
    assert not text[end_before:].strip()


@pytest.mark.parametrize(
    "unit", [".", ". ", "a. ", "A. ", ".)", "?!", "[1", ".[1 ", "\n", " ", "x"]
)
def test_time_is_linear_in_the_length(unit):
    text = unit * (1 << 18)  # Quadratic time would be hours.
    assert "".join("".join(part.split()) for part in sentences(text)) == "".join(text.split())
