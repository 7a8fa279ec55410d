"""Names made up from the parts that real ones are made of.

Many of the names in the training sentences come from here, and hardly any of them comes twice: to
learn them by heart is of no use, so a model must learn their endings and their surroundings.
"""

import random

STEMS = """
pril sartan olol dipine statin fibrate gliptin gliflozin glutide glitazone mab limab tinib ciclib
parib rafenib vir buvir asvir tegravir navir conazole fungin cillin floxacin mycin cycline penem
oxetine azepine azepam zolam barbital triptan gepant setron prazole tidine parin xaban grel platin
rubicin taxel trexate caine profen coxib fenac dronate terol tropium sone solone lukast thiazide
semide lactone pidem clone peridone apine dopa giline capone mustine tecan sulfan relin tocin
pressin stim kinra cept ase formin nidazole quine bendazole ectin artemol nidine zosin prost
mide tadine rizine vaptan renone racetam bamate
""".split()
ENDINGS = "ine ol ate one in ide an ol um am il ex id ene idine amine azine erol".split()
ONSETS = "b br c cl d dr f fl g gl j k l m n p pr qu r s st t tr v x z".split()
VOWELS = "a a e e i i o o u".split()
CODAS = ["", "", "", "", "l", "n", "r", "m", "s", "x", "d"]

ADJECTIVES = """
acute chronic congenital familial hereditary idiopathic autoimmune allergic viral bacterial fungal
primary secondary hemorrhagic ischemic necrotizing granulomatous eosinophilic lymphocytic toxic
diffuse focal segmental bilateral central peripheral spinal cerebral cerebellar cortical bulbar
ocular retinal corneal nasal laryngeal tracheal bronchial pulmonary pleural cardiac aortic mitral
coronary carotid venous arterial lymphatic esophageal gastric duodenal intestinal colonic rectal
anal hepatic biliary pancreatic splenic renal ureteral vesical urethral prostatic testicular ovarian
uterine cervical vaginal mammary thyroid parathyroid adrenal pituitary cutaneous dermal muscular
tendinous articular lumbar thoracic sacral femoral tibial cystic fibrous sclerosing obstructive
hypertrophic atrophic proliferative ulcerative bullous pustular nodular myxoid papillary follicular
tubular glandular juvenile neonatal senile gestational postoperative traumatic metastatic malignant
benign recessive mitochondrial lysosomal metabolic sensory motor autonomic optic vestibular
""".split()
HEADS = """
disease disease disease syndrome syndrome disorder abscess carcinoma adenoma lymphoma sarcoma cancer
tumor fibrosis cirrhosis sclerosis stenosis thrombosis embolism infarction ischemia hemorrhage
aneurysm failure insufficiency deficiency hypertension hypotension atrophy dystrophy dysplasia
hyperplasia ataxia palsy paralysis neuralgia neuropathy myopathy encephalopathy retinopathy edema
ulcer fistula hernia cyst polyps infection fever anemia leukemia psoriasis dermatitis arthritis
epilepsy dementia psychosis depression amyloidosis tuberculosis pneumonia effusion occlusion spasm
obstruction prolapse degeneration dystonia tremor vertigo cataract glaucoma
""".split()
ROOTS = """
nephr hepat gastr enter col arthr dermat my neur oste chondr aden angi vascul phleb bronch rhin
laryng trache gingiv stomat gloss ot uve kerat blephar cyst urethr orch mast metr salping vagin
cervic pancreat cholecyst cholang proct pleur cardi mening encephal myel spondyl tend burs fasci
lymphaden thyroid parot sial ten chorioretin neutr thromb fibr lip leiomy hemangi gli schwann
melan tox crypt blast actin nocardi strongyl trichin fasciol bartonell rickettsi candid
""".split()
SUFFIXES = "itis itis itis osis osis oma oma opathy emia algia osclerosis omatosis iasis".split()
ORGANS = (
    """
bone, joint, skin, lung, liver, kidney, bladder, bowel, stomach, heart, valve, vein, artery, muscle,
tendon, nerve, brain, eye, ear, tooth, gum, breast, womb, thyroid gland, spinal cord, bone marrow,
bile duct, lymph node, salivary gland, small vessel, large vessel, blood cell, plasma cell
""".replace("\n", " ")
    .strip()
    .split(", ")
)
EPONYM_ENDS = "son sen berg mann ner ski ini ez ov er itz ard eau sson aki ura oto el is".split()
WORD_ENDS = """
er or ing ed ion ment ness al ist age ance ity ous ful ly ant ent ure s es y et ade ine in ol ate
""".split()
EPONYM_HEADS = "syndrome syndrome disease disease disease palsy ataxia anomaly tumor".split()


def invent_drug(rng: random.Random) -> str:
    """Return a drug's name: a few syllables and, mostly, the stem of a class."""
    syllables = _syllables(rng, rng.choice([1, 2, 2]))
    return syllables + rng.choice(STEMS if rng.random() < 0.75 else ENDINGS)


def invent_disease(rng: random.Random) -> str:
    """Return a disease's name of one to three words."""
    adjective, kind = rng.choice(ADJECTIVES), rng.random()
    if kind < 0.35:
        first = f"{rng.choice(ADJECTIVES)} {adjective}" if rng.random() < 0.2 else adjective
        return f"{first} {rng.choice(HEADS)}"
    if kind < 0.7:
        word = rng.choice(ROOTS) + rng.choice(SUFFIXES)
        return f"{adjective} {word}" if rng.random() < 0.5 else word
    if kind < 0.82:
        name = invent_surname(rng)
        second = f"-{invent_surname(rng)}" if rng.random() < 0.25 else ""
        return f"{name}{second} {rng.choice(EPONYM_HEADS)}"
    if kind < 0.92:
        return f"{rng.choice(ORGANS)} {rng.choice(HEADS)}"
    # As opaque as gout, mumps or rosacea.
    return _syllables(rng, 2) + rng.choice(["a", "es", "is", "us", "ism", "t", "ps", "ia", "y"])


def invent_surname(rng: random.Random) -> str:
    """Return the name of a person or a town."""
    return (_syllables(rng, rng.choice([1, 1, 2])) + rng.choice(EPONYM_ENDS)).capitalize()


def invent_word(rng: random.Random) -> str:
    """Return what could be an ordinary word, some of them with the ending of a drug."""
    return _syllables(rng, rng.choice([1, 1, 2])) + rng.choice(WORD_ENDS)


def _syllables(rng: random.Random, count: int) -> str:
    parts = ((ONSETS, VOWELS, CODAS) for _ in range(count))
    return "".join(rng.choice(letters) for part in parts for letters in part)
