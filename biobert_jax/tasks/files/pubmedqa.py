"""PubMedQA's JSON: questions about an abstract that it answers by yes, no or maybe.

An object of questions by PMID, `{"12377809": {"QUESTION", "CONTEXTS", "final_decision"}}`, as
`ori_pqal.json` has them; what else stands there (labels of sections, the long answer) is not read.
The abstract is without its conclusion, which would give the answer away.
"""

import os

from biobert_jax.formats.faults import Fault, ignore, is_text, read_json, refuse
from biobert_jax.tasks.files.examples import TextExample

DECISIONS = ("yes", "no", "maybe")


def read_pubmedqa(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[TextExample]:
    """Reads questions as pairs: the question, and its abstract's sections as one text.

    Labels are None where `final_decision` is absent.

    Raises:
      UserError: The file is absent, unreadable, no JSON or of another form; or, unless `fault`
        takes them, a question or its contexts are missing, or a decision is none of the three. The
        message names the file and the question.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        refuse(str(path), "not an object of questions by PMID, as PubMedQA has: check the format")
    examples = []
    for id_, asked in value.items():
        where = f"{path}: question {id_}"
        if not isinstance(asked, dict) or not is_text(asked.get("QUESTION")):
            fault(where, 'no text in "QUESTION": give one, or leave the question out')
            continue
        contexts = asked.get("CONTEXTS")
        if not isinstance(contexts, list) or not contexts or not all(map(is_text, contexts)):
            fault(where, 'no list of texts in "CONTEXTS": give the abstract\'s sections')
            continue
        decision = asked.get("final_decision")
        if decision is not None and decision not in DECISIONS:
            fault(where, f"final_decision is {decision!r:.60}: give one of {', '.join(DECISIONS)}")
            continue
        examples.append(
            TextExample(
                id_,
                asked["QUESTION"],
                " ".join(contexts),
                labels=None if decision is None else (decision,),
                document=id_,
                where=where,
            )
        )
    return examples
