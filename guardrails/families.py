"""Words that give a protected attribute away, as case-insensitive regular expressions matched as whole words.

A word with other everyday meanings (single, separated, old, young) counts only next to a person or a linking verb.
"""

PERSON = r"(?:applicants?|borrowers?|customers?|clients?|persons?|people|adults?|m[ae]n|wom[ae]n|couples?|parents?)"
LINK = r"(?:is|are|was|were|be|been|being|as|remains|still|now|recently|legally)"
GAP = r"[\s_-]{1,4}"  # bounded, so that no text makes a search slow

AGE = (
    r"age(?:s|d|ing|ism|ist)?",
    r"aging",
    rf"(?:years?|yrs?){GAP}old",
    rf"(?:years?|yrs?){GAP}of{GAP}age",
    r"elderly",
    rf"senior{GAP}citizens?",
    r"pensioners?",
    r"teenage(?:d|rs?)",
    r"(?:quinqua|sexa|septua|octo|nona)genarians?",
    rf"(?:too|very|so|rather|quite){GAP}(?:old|young)",
    rf"(?:old|young)(?:er|est)?{GAP}{PERSON}",
    rf"(?:his|her|their){GAP}(?:(?:early|mid|late){GAP})?(?:twenties|thirties|forties|fifties|sixties|seventies|\d0s)",
    rf"date{GAP}of{GAP}birth",
    r"birth(?:day|date|year)s?",
)

MARITAL = (
    r"marital",
    r"marriages?",
    r"(?:re)?marr(?:y|ies|ied|ying)",
    r"unmarried",
    r"divorc(?:e|es|ed|ee|ees|ing)",
    r"widow(?:s|ed|er|ers|hood)?",
    r"spous(?:e|es|al)",
    r"husbands?",
    r"wi(?:fe|ves)",
    r"newly-?weds?",
    r"cohabit(?:s|ed|ing|ants?|ation)?",
    rf"civil{GAP}partner(?:s|ships?)?",
    rf"single{GAP}(?:{PERSON}|mothers?|fathers?|mom|mum|dad)",
    rf"{LINK}{GAP}single(?=\s{{0,4}}(?:[.,;:!?)\"\\]|and\b|$))",
    rf"(?:{LINK}{GAP})separated(?=\s{{0,4}}(?:[.,;:!?)\"\\]|and\b|from{GAP}(?:his|her|their|a|the)\b|$))",
    rf"separated{GAP}{PERSON}",
)

GENDER = (r"genders?", r"sex(?:es)?", r"males?", r"females?", r"wom[ae]n", r"m[ae]n")
RACE = (r"rac(?:e|es|ial|ially)", r"ethnic(?:ity|ities|ally)?")
RELIGION = (
    r"religio(?:n|ns|us)",
    r"christians?",
    r"muslims?",
    r"jew(?:s|ish)?",
    r"hindus?",
    r"buddhists?",
    r"atheists?",
)
NATIONALITY = (r"national(?:s|ity|ities)", r"citizenships?", r"immigrants?", r"migrants?", r"foreign(?:ers?|-born)")
DISABILITY = (r"disab(?:led|ility|ilities)", r"handicap(?:s|ped)?", r"wheelchairs?")
PREGNANCY = (r"pregnan(?:t|cy|cies)", rf"maternity{GAP}leave")

FAMILIES: dict[str, tuple[str, ...]] = {
    "age": AGE,
    "birth": AGE,
    "birthday": AGE,
    "birthdate": AGE,
    "marital": MARITAL,
    "marriage": MARITAL,
    "gender": GENDER,
    "sex": GENDER,
    "race": RACE,
    "ethnicity": RACE,
    "religion": RELIGION,
    "nationality": NATIONALITY,
    "citizenship": NATIONALITY,
    "disability": DISABILITY,
    "pregnancy": PREGNANCY,
    "pregnant": PREGNANCY,
}
"""A word of a hidden field's name -> the family it belongs to."""
