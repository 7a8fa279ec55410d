"""Compose the small corpus that ``make quickstart`` trains on.

    python experiments/quickstart/compose_corpus.py [FOLDER]

Sentence frames are filled with disease and drug names that belong together, and written as PubMed
XML without labels and as tagged sentences. Every run gives the same bytes. In a frame, ``[a|b]``
stands for one of the two and ``{D}`` is a slot. Findings and some drugs are invented.
"""

import collections
import random
import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

SEED, ABSTRACTS, FIRST_PMID = 2021, 360, 90000001
SPLITS = {"train": (480, slice(6)), "devel": (60, slice(6, 8)), "test": (120, slice(8, 10))}
CORPUS = Path(__file__).resolve().parents[2] / "biobert_jax" / "quickstart" / "corpus"

# organ | cells | genes | measure | signs | doses | ten diseases | ten drugs. Of each ten names the
# first six are for the training sentences, the next two for devel, the last two for test.
TOPICS = """
the affected tissue | neutrophils | TLR4, NOD2 | tissue healing | fever, malaise, chills | 500 mg, 1
g | bacterial pneumonia, septic arthritis, bacterial meningitis, chronic osteomyelitis, infective
endocarditis, acute pyelonephritis, acute cholangitis, cellulitis, acute prostatitis, bacterial
peritonitis | amoxicillin, flucloxacillin, azithromycin, levofloxacin, ceftriaxone, cefuroxime,
clarithromycin, moxifloxacin, piperacillin, cefotaxime
/ the lung parenchyma | alveolar macrophages | CARD9, CLEC7A | fungal clearance | fever, weight
loss, cough | 100 mg, 200 mg | invasive aspergillosis, histoplasmosis, oral candidiasis,
blastomycosis, coccidioidomycosis, cryptococcal meningitis, mucormycosis, paracoccidioidomycosis,
sporotrichosis, chromoblastomycosis | fluconazole, itraconazole, voriconazole, caspofungin,
isavuconazole, micafungin, posaconazole, anidulafungin, ketoconazole, rezafungin
/ the infected mucosa | plasmacytoid dendritic cells | IFNL3, TLR7 | viral clearance | fever,
fatigue, headache | 100 mg, 300 mg | chronic hepatitis C, influenza, herpes zoster, cytomegalovirus
retinitis, HIV infection, herpes simplex encephalitis, chronic hepatitis B, viral myocarditis,
enterovirus infection, viral bronchiolitis | melogravir, tecoravir, lumaprevir, ostaclovir,
dorintavir, favipiravir, zanotavir, celtegravir, bonafuvir, ravipiravir
/ the tumor margin | cytotoxic T cells | KRAS, TP53 | tumor control | weight loss, fatigue, pain |
40 mg, 150 mg | hepatocellular carcinoma, non-small cell lung cancer, metastatic melanoma,
glioblastoma, Merkel cell carcinoma, pancreatic adenocarcinoma, neuroblastoma, ovarian cancer, renal
cell carcinoma, medulloblastoma | sorafenib, gefitinib, cabozantinib, dovarlitinib, talimatinib,
melrotinib, pexatinib, vorasertinib, lenvatinib, crestafinib
/ the bone marrow | plasma cells | NPM1, JAK2 | marrow function | fatigue, weakness, bruising | 15
mg/m<sup>2</sup>, 30 mg/m<sup>2</sup> | acute myeloid leukemia, multiple myeloma, follicular
lymphoma, hairy cell leukemia, chronic lymphocytic leukemia, Hodgkin lymphoma, primary
myelofibrosis, plasmacytoma, mantle cell lymphoma, acute promyelocytic leukemia | rituximab,
obinutuzumab, bortezomib, carfilzomib, doxorubicin, daunorubicin, velotuzumab, epirubicin, ixazomib,
idarubicin
/ the left ventricle | vascular smooth muscle cells | ACE, ADRB1 | exercise capacity |
breathlessness, ankle swelling, palpitations | 5 mg, 10 mg | essential hypertension, chronic heart
failure, dilated cardiomyopathy, atrial fibrillation, acute myocarditis, coronary vasculitis,
pulmonary hypertension, giant cell myocarditis, hypertrophic cardiomyopathy, ventricular
fibrillation | enalapril, ramipril, valsartan, candesartan, metoprolol, bisoprolol, lisinopril,
telmisartan, perindopril, atenolol
/ the arterial wall | hepatocytes | LDLR, PCSK9 | vessel tone | leg pain, chest pain, fatigue | 10
mg, 20 mg | familial hypercholesterolemia, coronary artery disease, carotid atherosclerosis,
hypertriglyceridemia, metabolic syndrome, hepatic steatosis, mixed dyslipidemia, primary
hyperlipidemia, sitosterolemia, peripheral artery disease | atorvastatin, rosuvastatin, simvastatin,
fenofibrate, bezafibrate, evolocumab, pravastatin, ciprofibrate, pitavastatin, alirocumab
/ the pancreas | pancreatic beta cells | TCF7L2, HNF1A | insulin sensitivity | thirst, blurred
vision, fatigue | 10 mg, 100 mg | type 2 diabetes mellitus, diabetic nephropathy, postprandial
hyperglycemia, partial lipodystrophy, polycystic ovary syndrome, diabetic neuropathy, gestational
diabetes mellitus, insulin resistance syndrome, type 1 diabetes mellitus, diabetic cardiomyopathy |
sitagliptin, linagliptin, empagliflozin, dapagliflozin, liraglutide, pioglitazone, saxagliptin,
semaglutide, canagliflozin, vildagliptin
/ the synovium | fibroblasts | PTPN22, STAT4 | mobility | joint stiffness, swelling, fatigue | 50
mg, 150 mg | rheumatoid arthritis, ankylosing spondylitis, systemic lupus erythematosus,
dermatomyositis, giant cell arteritis, systemic sclerosis, psoriatic arthritis, polymyositis,
juvenile idiopathic arthritis, axial spondylitis | adalimumab, infliximab, secukinumab, tofacitinib,
baricitinib, etanercept, tocilizumab, filgotinib, golimumab, upadacitinib
/ the gut wall | intestinal epithelial cells | IL23R, ATG16L1 | mucosal healing | abdominal pain,
diarrhea, bloating | 20 mg, 40 mg | ulcerative colitis, Crohn disease, eosinophilic esophagitis,
erosive gastritis, irritable bowel syndrome, peptic ulcer disease, collagenous colitis, short bowel
syndrome, reflux esophagitis, Menetrier disease | omeprazole, pantoprazole, lansoprazole,
famotidine, vedolizumab, mirikizumab, rabeprazole, nizatidine, esomeprazole, etrolizumab
/ the bronchial mucosa | airway epithelial cells | ORMDL3, MUC5B | lung function | wheezing, cough,
breathlessness | 50 µg, 200 µg | allergic asthma, chronic obstructive pulmonary disease, chronic
bronchitis, idiopathic pulmonary fibrosis, allergic rhinitis, pulmonary sarcoidosis, cystic
fibrosis, hypersensitivity pneumonitis, obliterative bronchiolitis, interstitial lung disease |
salmeterol, formoterol, tiotropium, budesonide, ciclesonide, omalizumab, indacaterol, ipratropium,
vilanterol, benralizumab
/ the hippocampus | interneurons | SCN1A, GABRA1 | seizure control | dizziness, drowsiness, headache
| 5 mg, 10 mg | temporal lobe epilepsy, juvenile myoclonic epilepsy, Lennox-Gastaut syndrome,
Dravet syndrome, limbic encephalitis, benign rolandic epilepsy, childhood absence epilepsy, West
syndrome, frontal lobe epilepsy, Angelman syndrome | levetiracetam, carbamazepine, lorazepam,
clonazepam, gabapentin, lamotrigine, brivaracetam, pregabalin, oxcarbazepine, diazepam
/ the midbrain | motor neurons | LRRK2, APOE | motor function | slowness, poor balance, confusion |
2 mg, 5 mg | Parkinson disease, Alzheimer disease, multiple sclerosis, vascular dementia, multiple
system atrophy, corticobasal degeneration, Huntington disease, spinal muscular atrophy, amyotrophic
lateral sclerosis, frontotemporal dementia | ropinirole, rasagiline, selegiline, rivastigmine,
natalizumab, opicapone, safinamide, ocrelizumab, entacapone, galantamine
/ the prefrontal cortex | cortical neurons | BDNF, DRD2 | social functioning | low mood, poor sleep,
worry | 10 mg, 30 mg | schizophrenia, bipolar disorder, major depressive disorder, generalized
anxiety disorder, anorexia nervosa, post-traumatic stress disorder, panic disorder, hebephrenia,
obsessive-compulsive disorder, schizoaffective disorder | fluoxetine, duloxetine, risperidone,
aripiprazole, olanzapine, venlafaxine, paroxetine, brexpiprazole, paliperidone, lurasidone
/ the vessel wall | endothelial cells | PROC, SERPINC1 | blood flow | swelling, chest pain, bruising
| 10 mg, 60 mg | deep vein thrombosis, pulmonary embolism, antiphospholipid syndrome,
thrombophlebitis, ischemic stroke, mesenteric venous thrombosis, portal vein thrombosis, paradoxical
embolism, cerebral venous thrombosis, post-thrombotic syndrome | rivaroxaban, edoxaban, dabigatran,
enoxaparin, dalteparin, clopidogrel, apixaban, tinzaparin, betrixaban, bemiparin
/ the dermis | keratinocytes | FLG, IL17A | skin clearance | itching, redness, poor sleep | 30 mg,
300 mg | atopic dermatitis, plaque psoriasis, bullous pemphigoid, pemphigus vulgaris, chronic
urticaria, alopecia areata, seborrheic dermatitis, guttate psoriasis, contact dermatitis, cold
urticaria | dupilumab, ustekinumab, guselkumab, isotretinoin, tacrolimus, cetirizine, tralokinumab,
acitretin, tildrakizumab, levocetirizine
"""

# KIND.PART FRAME, where KIND is (t)rial, (c)ohort, (l)ab, (r)eview or a(n)y, and PART is one of
# title, background (1, 2), aim, methods (1, 2), results, conclusion, sentences only (S).
FRAMES = """
t.T {G} compared with {C} in [adults|patients] with {D}: a randomized trial.
t.T [Efficacy|Efficacy and safety] of {G} in {D}: a [double-blind|multicenter] trial.
c.T [Long-term outcome|Prognosis] of patients with {D} treated with {G}.
c.T Predictors of response to {G} in {D}: a cohort study from {k}.
l.T Effect of {G} on {c} in [a mouse model of|experimental] {D}.
r.T {G} and {G2} for {D}: a systematic review.
r.T Drug treatment of {D}: [an overview|what is known and what is not].
n.B1 {D} is characterized by {s} and {s2}[|, often with involvement of {o}].
n.B1 Patients with {D} [often|frequently] present with {s}, and diagnosis is commonly delayed.
n.B1 The burden of {D} has [grown|increased] in {k} over the past [two|three] decades.
n.B1 In {D}, {c} are [abnormally activated|functionally impaired] and {o} is damaged.
n.B1 Variants in <i>{g}</i> have been linked to [susceptibility to|the onset of] {D}.
n.B1 Little is known about the natural history of {D} in [older adults|women|rural regions].
n.B1 {D} and {D2} share several clinical features, including {s}.
n.B1 Dysfunction of {c} is thought to contribute to {D}[| and to {D2}].
n.B1 Without treatment, {D} can cause lasting damage to {o}.
n.B1 The prognosis of {D} varies widely, and reliable biomarkers are lacking.
n.B2 {G} is used for the treatment of {D}, but its effect on {m} is unclear.
n.B2 Whether {G} alters the function of {c} [in {D} |]is [unknown|debated].
n.B2 Few trials have compared {G} with {G2} in [adults|patients] with {D}.
n.B2 {G} and {G2} are [both recommended|recommended] for {D}, yet head-to-head data are scarce.
n.B2 Response to {G} differs between patients with {D}, and no test can predict it.
n.B2 Intolerance to {G2} is [common|frequent] in patients with {D}.
n.B2 Early reports suggested that {G} relieves {s} in {D}.
n.B2 Current treatments for {D}, such as {G2}, do not help every patient.
t.A We aimed to compare {G} with {C} in [adults|patients] with {D}.
t.A This trial [assessed|examined] whether {G} improves {m} in patients with {D}.
t.A We tested the hypothesis that {G} is superior to {C} for the treatment of {D}.
t.A Our objective was to determine the efficacy and safety of {G} in {D}.
c.A We sought to identify predictors of response to {G} in {D}.
c.A We asked whether previous use of {G2} influences the response to {G} in {D}.
l.A We investigated the effect of {G} on {c} in models of {D}.
l.A We asked whether {G} acts through <i>{g}</i> in {D}.
r.A We reviewed the evidence for {G} and {G2} in {D}.
r.A We aimed to [synthesize|collect] the randomized evidence on {G} for {D}.
t.M1 A total of {n} adults with {D} received {G} {dose} or {C} for {wk} weeks.
t.M1 Eligible patients with {D} at {cen} centers in {k} were randomized to {G} or {C}.
t.M1 Patients aged {age} years or older with {D} were given {dose} of {G} or {C}.
t.M2 The primary outcome was the change in {m} [at|after] {wk} weeks.
t.M2 The patients recorded {s} and {s2} daily, and {m} was assessed every {few} weeks.
t.M2 Patients who had taken {G} within the past {few} weeks were excluded.
c.M1 We followed {n} patients with {D} at {cen} hospitals in {k} from {yr1} to {yr2}.
c.M1 Records of {n} patients with {D} who [started|received] {G} were reviewed.
c.M1 Data on {n} adults with {D} were obtained from a national register in {k}.
c.M1 In this prospective cohort, {n} patients with {D} took {G} for at least {few} months.
c.M2 Patients with concomitant {D2} were [excluded|analyzed separately].
c.M2 <i>{g}</i> was genotyped in blood samples from {n2} patients.
l.M1 {c} from {few} patients with {D} and from healthy donors were cultured with {G}.
l.M1 We used a mouse model of {D} and gave the animals {G} for {few} weeks.
l.M1 Mice lacking <i>{g}</i> were treated with {G} or vehicle after onset of {D}.
l.M2 Apoptosis was measured <i>in vitro</i> at 37 °C in 5% CO<sub>2</sub> with or without {G2}.
l.M2 Sections of {o} were stained and scored by two blinded observers.
r.M1 We searched [MEDLINE and Embase|PubMed] for trials of {G} in {D} published up to {yr2}.
r.M1 Studies that compared {G} with {G2} in patients with {D} were eligible.
r.M2 Effect sizes were pooled in a random-effects model.
t.R {m} improved in {hi}% of patients given {G} and in {lo}% of those given {C} ({p}).
t.R After {wk} weeks, {m} had improved by {x}% with {G} and by {low}% with {C} ({p}).
t.R {G} reduced {s} more than {C} did ({p}).
t.R The response rate was {hi}% with {G} and {lo}% with {C} ({p}).
t.R [Fewer|Significantly fewer] patients in the {G} group reported {s} ({n1} versus {n2}).
t.R Adverse events, mainly nausea and rash, occurred in {lo}% of patients taking {G}.
t.R Only {few} patients stopped {G} because of [nausea|vomiting|rash].
c.R During a median follow-up of {mo} months, {x}% of patients with {D} were readmitted.
c.R Use of {G} was associated with a lower risk of hospital admission (hazard ratio {hr}).
c.R Response to {G} was better in carriers of the <i>{g}</i> variant ({p}).
c.R Patients with {D} who took {G} reported less {s} than those who did not ({p}).
c.R Patients who switched from {G2} to {G} had fewer admissions than before ({p}).
l.R {G} [increased|reduced] the expression of {g} in {c} in a dose-dependent manner.
l.R Cells treated with {G} secreted less interleukin-6 than untreated cells ({p}).
l.R Deletion of <i>{g}</i> abolished the effect of {G}[| on {c}].
l.R Apoptosis was unchanged by {G2} but fell by {x}% with {G} ({p}).
l.R In animal models of {D}, {G} lowered the injury score of {o} by {x}%.
l.R Combined with {G2}, {G} had a stronger effect on {c} than either drug alone.
r.R In all, {cen} trials with {n} patients were included; {few} of them compared {G} with {G2}.
r.R Pooled estimates favored {G} over placebo for {m} (risk ratio {hr}).
r.R Heterogeneity was moderate (I<sup>2</sup> = {x}%).
r.R Improvement of {s} was reported with {G} but not with {G2} in patients with {D}.
t.C {G} is an effective and well-tolerated treatment for {D}.
t.C In patients with {D}, {G} improves {m} more than {C}.
c.C In routine care, {G} is a useful option for patients with {D}.
c.C [Genotyping of <i>{g}</i>|Early follow-up] may help to choose patients with {D} for {G}.
c.C Long-term use of {G} in {D} appears to be safe.
l.C These findings suggest that {g} mediates the action of {G} in {D}.
l.C Our data provide a rationale for combining {G} with {G2} in {D}.
l.C {G} deserves [clinical study|further evaluation] in {D}.
r.C Evidence supports {G} for {D}, whereas that for {G2} remains weak.
r.C Larger trials of {G} and {G2} in {D} are needed.
n.S A {age}-year-old [woman|man] with {D} was [started on|given] {G} {dose}.
n.S {Ds} were the most common diagnoses[| in {k}].
n.S [The differential diagnosis|Our registry in {k}] included {Ds}.
n.S [She|He] had been taking {Gs} for {few} years.
n.S {Gs} were [detected|quantified] in plasma by mass spectrometry.
n.S {G}, but not {G2}, was detected in [breast milk|cerebrospinal fluid|urine].
n.S {D} was confirmed by [biopsy|histology] of {o}.
n.S {G}-treated [mice|animals] did not develop {D}.
n.S {D}-related deaths were rare in {k}[| after {yr2}].
n.S Patients ({n2} with {D} and {n1} with {D2}) were recruited in {k}.
n.S Second-line drugs ({Gs}) were not available in {k}.
n.S Compared with {G2}, {G} has a [longer|shorter] half-life.
n.S <i>{g}</i> is overexpressed in {D} but not in {D2}.
n.S Is {G} safe in [pregnant women|children|older people] with {D}?
n.S Neither {G} nor {G2} prevented {D}[| in {k}].
n.S Therapy with {G} was stopped because of suspected {D}.
n.S There was no [family|personal] history of {D} or {D2}.
n.S {D} worsened {few} weeks after withdrawal of {G}.
n.S {G} should not be combined with a [beta-blocker|calcium-channel blocker|corticosteroid].
n.S {D} is uncommon in {k}, where {D2} predominates.
n.S {G} was replaced by {G2} on day {low}[|; the {s} then resolved].
n.S {D} is often mistaken for {D2}, and treatment of {D} is then delayed.
n.S Relatives of patients with {D} have a higher risk of {D} than the general population.
n.S Prescriptions of {G} for {D} [doubled|halved] in {k} between {yr1} and {yr2}.
n.S On admission [she|he] was receiving {G} for {D} and {G2} for {D2}.
n.S Of {n} patients with {D}, {n2} also had {D2}.
n.S [Severe|Recurrent] {D} responded to {G}[| within {few} weeks].
n.N Written informed consent was obtained from all participants in {k}.
n.N The mean age was {age} years, and {hi}% of the participants were women.
n.N Phagocytosis and {g} expression were measured in {c} by Western blot.
n.N Groups were compared with the [Mann-Whitney|Wilcoxon] test ({p}).
n.N Plasma creatinine, albumin and tyrosine were measured [at week {wk}|in {n} adults].
n.N The study was approved by the ethics committee of a university hospital in {k}.
n.N BRCA1 and {g} bind the same region of chromatin[| in {c}].
n.N Kaplan-Meier curves for {m} were compared with the log-rank test ({p}).
n.N Interleukin-6, C-reactive protein and {g} fell by {x}% in {wk} weeks.
"""

COUNTRIES = ["Denmark", "Brazil", "Kenya", "Japan", "Canada", "India", "Chile", "Portugal", "Ghana"]
WEEKS = ["8", "12", "16", "24", "36", "52"]
LABELS = ["BACKGROUND", "OBJECTIVE", "METHODS", "RESULTS", "CONCLUSIONS"]
# Articles with an abstract in another language besides, and articles with no abstract at all.
OTHER = {
    40: ("fre", "Le traitement a été efficace et bien toléré chez la plupart des malades."),
    160: ("spa", "El tratamiento fue eficaz y bien tolerado en la mayoría de los pacientes."),
    280: ("ger", "Die Behandlung war wirksam und wurde von den meisten Kranken gut vertragen."),
}
Topic = collections.namedtuple("Topic", "organ cells genes measure signs doses diseases drugs")
TITLE_ALONE = (100, 220)  # articles without an abstract
OTHER_XML = """<OtherAbstract Type="Publisher" Language="{}"><AbstractText>{}</AbstractText>
</OtherAbstract>
"""
ARTICLES = '<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet>\n{}</PubmedArticleSet>\n'
ARTICLE = """<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM">
<PMID Version="1">{}</PMID>
<Article PubModel="Print"><ArticleTitle>{}</ArticleTitle>
{}<Language>eng</Language></Article>
{}</MedlineCitation></PubmedArticle>
"""


def read_topics() -> list[Topic]:
    """Return the topics of ``TOPICS``, each field a list of phrases."""
    blocks = [" ".join(block.split()).split(" | ") for block in TOPICS.strip().split("\n/ ")]
    return [Topic(*[field.split(", ") for field in block]) for block in blocks]


def read_frames() -> dict[str, list[str]]:
    """Return the frames of ``FRAMES`` by kind and part, such as ``t.M1``."""
    frames: dict[str, list[str]] = {}
    for part, frame in (line.split(" ", 1) for line in FRAMES.strip().splitlines()):
        frames.setdefault(part, []).append(frame)
    return frames


def read_abbreviations(topics: list[Topic]) -> dict[str, str]:
    """Return the initials of each disease that has three or more, where no other has the same."""
    names = [name for topic in topics for name in topic.diseases]
    initials = {n: "".join(word[0] for word in re.split("[ -]", n)).upper() for n in names}
    count = collections.Counter(initials.values())
    return {n: short for n, short in initials.items() if len(short) > 2 and count[short] == 1}


def draw_study(topic: Topic, names: slice, turn: int, rng: random.Random) -> dict[str, str]:
    """Draw what stays the same in a study; ``turn`` picks the main disease (D) and drug (G)."""
    slots: dict[str, str] = {}
    for kind, pool in (("D", topic.diseases[names]), ("G", topic.drugs[names])):
        first = pool[(turn + turn // len(pool) * (kind == "G")) % len(pool)]
        rest = rng.sample([name for name in pool if name != first], len(pool) - 1)
        # A name stands between control characters that say its kind, until it is written.
        marked = [f"\x01{kind}{name}\x02" for name in [first, *rest]]
        slots |= {kind: marked[0], f"{kind}2": marked[1]}
        *most, last = rng.sample(marked, min(rng.randint(2, 3), len(pool)))
        slots[f"{kind}s"] = f"{', '.join(most)} and {last}"
    slots["s"], slots["s2"] = rng.sample(topic.signs, 2)
    pools = {"o": topic.organ, "c": topic.cells, "g": topic.genes, "m": topic.measure}
    pools |= {"dose": topic.doses, "C": [slots["G2"], "placebo"], "k": COUNTRIES, "wk": WEEKS}
    slots |= {key: rng.choice(pool) for key, pool in pools.items()}
    ends = {"n": (240, 980), "cen": (7, 28), "mo": (14, 60), "age": (50, 79)}
    ends |= {"yr1": (1998, 2009), "yr2": (2010, 2019)}
    return slots | {key: str(rng.randint(*pair)) for key, pair in ends.items()}


def fill(frame: str, study: dict[str, str], rng: random.Random) -> str:
    """Choose among the alternatives of a frame and fill its slots; names stay marked."""
    ends = {"x": (21, 38), "hi": (52, 79), "lo": (18, 41), "low": (3, 15), "n1": (31, 60)}
    ends |= {"n2": (64, 98), "p2": (11, 48), "p3": (2, 9)}
    slots = study | {key: str(rng.randint(*pair)) for key, pair in ends.items()}
    slots["few"] = rng.choice(["two", "three", "four", "five", "six"])
    slots["p"] = rng.choice(["P < 0.001", f"P = 0.0{slots['p2']}", f"P = 0.00{slots['p3']}"])
    ratio = rng.uniform(0.45, 0.78)
    slots["hr"] = f"{ratio:.2f}, 95% CI {ratio * 0.8:.2f}-{ratio * 1.2:.2f}"
    text = re.sub(r"\[([^]]*)\]", lambda found: rng.choice(found[1].split("|")), frame)
    return re.sub(r"\{(\w+)\}", lambda found: slots[found[1]], text)


def abbreviate(text: str, disease: str, shorts: dict[str, str], rng: random.Random) -> str:
    """Define the abbreviation of a marked disease where it first occurs, then mostly use it."""
    first, *rest = text.split(disease)
    if disease[2:-1] not in shorts or not rest:
        return text
    short = f"\x01D{shorts[disease[2:-1]]}\x02"
    uses = [f"{disease} ({short})", *[rng.choice([disease, short, short]) for _ in rest[1:]]]
    return first + "".join(use + part for use, part in zip(uses, rest, strict=True))


def capitalize(text: str) -> str:
    """Begin a sentence, which may open with a marked name, with a capital letter."""
    return re.sub(r"^((?:\x01.)?)([a-z])", lambda found: found[1] + found[2].upper(), text)


def to_xml(text: str) -> str:
    """Drop the marks of names and escape the text, keeping its inline markup."""
    return re.sub(r"&lt;(/?\w+)&gt;", r"<\1>", escape(re.sub(r"\x01.|\x02", "", text)))


def compose_article(number, frames, topics, shorts, rng: random.Random) -> str:
    """Return the XML of an article about one disease; half of them have labelled sections."""
    turn, place = divmod(number, len(topics))
    study, kind = draw_study(topics[place], slice(None), turn, rng), rng.choice("ttcclr")
    wanted = {"n.B1": 1, "n.B2": rng.randint(0, 1), f"{kind}.A": 1, f"{kind}.M1": 1}
    wanted |= {f"{kind}.M2": rng.randint(0, 1), f"{kind}.R": rng.randint(1, 3), f"{kind}.C": 1}
    chosen = [(part, frame) for part, n in wanted.items() for frame in rng.sample(frames[part], n)]
    text = "\n".join(fill(frame, study, rng) for _, frame in chosen)
    sentences = abbreviate(text, study["D"], shorts, rng).split("\n")
    sections: dict[str, str] = {}
    for (part, _), sentence in zip(chosen, sentences, strict=True):
        label = LABELS["BAMRC".index(part[2])] if turn % 2 else ""
        label = label and f' Label="{label}" NlmCategory="{label}"'
        sections[label] = f"{sections.get(label, '')} {to_xml(capitalize(sentence))}".strip()
    body = "".join(f"<AbstractText{k}>{v}</AbstractText>\n" for k, v in sections.items())
    title = to_xml(capitalize(fill(rng.choice(frames[f"{kind}.T"]), study, rng)))
    abstract = "" if number in TITLE_ALONE else f"<Abstract>\n{body}</Abstract>\n"
    other = OTHER_XML.format(*OTHER[number]) if number in OTHER else ""
    return ARTICLE.format(FIRST_PMID + number, title, abstract, other)


def tag_sentence(text: str) -> str:
    """Return a marked sentence as lines of ``token<TAB>label``, in ASCII and without markup."""
    text = re.sub(r"</?\w+>", "", text).replace("µ", "mc").replace("°", "degrees ")
    lines = []
    for piece in re.findall(r"\x01[^\x02]*\x02|[^\x01]+", text):
        kind = {"\x01D": "Disease", "\x01G": "Drug"}.get(piece[:2])
        for i, token in enumerate(re.findall(r"\w+|[^\w\s]", piece[2:-1] if kind else piece)):
            prefix = "I-" if i else "B-"
            lines.append(f"{token}\t{prefix + kind if kind else 'O'}\n")
    return "".join(lines)


def compose_tagged(frames, topics, shorts, rng: random.Random) -> dict[str, list[str]]:
    """Return the tagged sentences of each split, no two of them equal."""
    pool = [f for part in frames if part[2] != "T" for f in frames[part] * (1 + (part[2] in "SN"))]
    splits: dict[str, list[str]] = {}
    for split, (count, names) in SPLITS.items():
        done = splits[split] = []
        while len(done) < count:
            turn, place = divmod(len(done), len(topics))
            study = draw_study(topics[place], names, turn, rng)
            text = fill(frame := rng.choice(pool), study, rng)
            if rng.random() < 0.4 and not re.search(r"\(.*\{D\}|\{D\}-", frame):
                text = abbreviate(text, study["D"], shorts, rng)
            sentence = tag_sentence(capitalize(text))
            if not any(sentence in others for others in splits.values()):
                done.append(sentence)
    return splits


def main(folder: Path = CORPUS) -> None:
    """Write ``abstracts.xml``, ``train.tsv``, ``devel.tsv`` and ``test.tsv`` into ``folder``."""
    topics, frames, rng = read_topics(), read_frames(), random.Random(SEED)
    args = (frames, topics, read_abbreviations(topics), rng)
    articles = [compose_article(i, *args) for i in range(ABSTRACTS + len(TITLE_ALONE))]
    files = {f"{s}.tsv": "\n".join(t) + "\n" for s, t in compose_tagged(*args).items()}
    files["abstracts.xml"] = ARTICLES.format("".join(articles))
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
