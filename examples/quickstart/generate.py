#!/usr/bin/env python3
"""Writes the people, groups and cardholders of the quickstart.

Everybody in it is invented. The same seed gives the same files, byte for byte:

    python3 generate.py          # writes beside this file
    python3 generate.py FOLDER   # writes there

Needs Python 3.9 or newer and nothing else.
"""

import csv
import json
import pathlib
import random
import sys
import unicodedata

SEED = 20260131
STAFF = 312

# Given name, family name; and how both are written in an account, where that does not follow from the letters.
NAMES = """
Aoife|Ní Bhraonáin
Ciarán|O'Driscoll
Siobhán|Mac Giolla
Nuala|O'Farrell
Zoë|van der Meulen
Maarten|de Wit
Lieke|Hoekstra
Søren|Ågård
Freja|Østergaard
Þórdís|Hallgrímsdóttir
Jökull|Ævarsson
Väinö|Hämäläinen
Aino|Mäkelä
Łucja|Wróblewska
Stanisław|Żukowski
Jiří|Dvořáček
Ludmila|Šťastná
Ágnes|Kőszegi
Gábor|Tóthfalusi
Ștefania|Răducanu
Ionuț|Ciobotaru
Žiga|Kovačič
Ljubica|Đorđević
Ayşe|Yıldızoğlu
Çağlar|Öztürkmen
Mónica|Núñez Castaño
Íñigo|Etxeberria
João|Magalhães
Conceição|Falcão
Chloé|Lefèbvre-Roux
Émile|Bâtonnier
Jürgen|Großmann
Käthe|Weißhaupt
Gian-Luca|Dell'Orto
Mariangela|Buonafede
Nguyễn|Thị Hồng Vân
Đặng|Quốc Bảo
Olena|Kovalchuk-Bondar
Taras|Hrytsenko
Nino|Javakhidze
Giorgi|Beridzeli
Hripsime|Vardanyants
Adaeze|Okonkwo-Eze
Chukwuemeka|Nwachinemere
Folasade|Adewunmi
Kwabena|Asante-Mensah
Abena|Ofori-Darko
Thandiwe|Nkosazana
Sipho|Mthethwana
Wanjiru|Kamau-Njoroge
Otieno|Ouma-Were
Tigist|Gebremariam
Yonas|Woldeselassie
Fatoumata|Diarrassouba
Mamadou|Cissokho
Leïla|Benhaddou
Youssef|Al-Rawashdeh
Rania|Abu Ghanem
Shirin|Kermanshahi
Bahram|Tavakolian
Priyanka|Raghunathan
Arjun|Venkataswamy
Meenakshi|Chidambaram
Harpreet|Dhaliwal-Gill
Farhana|Chowdhury-Biswas
Tenzin|Wangchuk-La
Nimesha|Wickramaratne
Mei-Ling|Ouyang
Zhiyuan|Xiahou
Haruka|Fujinokawa
Sōta|Kurokami
Seo-yeon|Namgoong
Ji-hoon|Seonwoo
Siriporn|Thanasombat
Anong|Rattanakosin
Putri|Wirasembada
Bayu|Kusumanegara
Maricel|Dimaculangan-Reyes
Jomar|Macaraeg
Kiri|Te Whakaruru
Wiremu|Ngatoro
Leilani|Kahananui
Xochitl|Tlapanco
Cuauhtémoc|Izquierdo Peña
Guadalupe|Zaragoza-Montiel
Aylén|Curihuinca
Matías|Oyarzún
Valentina|Echeverri
Santiago|Uribe-Londoño
Beatriz|Gonçalves-Prado
Tukufu|Mwakasege
Ines|Horvatinčić
Margarethe|von Thalheim
Øystein|Kjærgård
Signe|Lindblad-Höök
Åsa|Bergqvist
Rhiannon|Llewellyn-Prys
Gethin|Ap Rhobert
Morag|MacIllechiar
Fearghas|Urquhart
Олена|Шевчук-Ткаченко|olena|shevchuk-tkachenko
Δέσποινα|Παπαδοπετράκη|despina|papadopetraki
محمود|الخضراوي|mahmoud|alkhadrawi
נועה|שקד־ברנע|noa|shaked-barnea
美咲|高梨沢|misaki|takanashizawa
지우|독고은|jiwoo|dokgoeun
""".split("\n")

LETTERS = str.maketrans({
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "þ": "th", "Þ": "Th", "æ": "ae", "Æ": "Ae", "ð": "d",
    "đ": "d", "Đ": "D", "ı": "i",
})

# Department, titles, its groups besides STAFF-ALL, and how many of a hundred work there.
DEPARTMENTS = [
    ("Ward Nursing", ["Staff Nurse", "Charge Nurse", "Healthcare Assistant"], ["WARDS-CLINICAL"], 22),
    ("Surgery", ["Surgeon", "Surgical Registrar", "Scrub Nurse"],
     ["WARDS-CLINICAL", "THEATRE-TEAM", "HYGIENE-TRAINED"], 10),
    ("Anaesthesia", ["Anaesthetist", "Anaesthetic Nurse"], ["WARDS-CLINICAL", "THEATRE-TEAM", "HYGIENE-TRAINED"], 6),
    ("Pathology", ["Biomedical Scientist", "Pathologist", "Laboratory Aide"], ["LAB-STAFF", "LAB-SAFETY-TRAINED"], 12),
    ("Clinical Research", ["Research Nurse", "Trial Coordinator", "Biostatistician"],
     ["LAB-STAFF", "LAB-SAFETY-TRAINED"], 8),
    ("Pharmacy", ["Pharmacist", "Pharmacy Technician"], ["PHARMACY-STAFF"], 6),
    ("Radiology", ["Radiographer", "Radiologist"], ["WARDS-CLINICAL", "IMAGING-STAFF"], 7),
    ("Estates", ["Electrician", "Boiler Engineer", "Gardener"], ["ESTATES-CREW"], 7),
    ("Digital Services", ["Systems Engineer", "Service Desk Analyst", "Network Engineer"], ["OFFICE-STAFF"], 6),
    ("Finance", ["Accountant", "Payroll Officer"], ["OFFICE-STAFF"], 5),
    ("People and Culture", ["Recruiter", "Learning Adviser"], ["OFFICE-STAFF"], 4),
    ("Catering", ["Cook", "Dietary Aide"], ["CATERING-CREW"], 7),
]

LEVELS = {
    "main-entrances": ("Main entrances", ["North door", "South door", "Ambulance court door"]),
    "wards": ("Wards", ["Ward 1", "Ward 2", "Ward 3", "Ward 4"]),
    "theatres": ("Operating theatres", ["Theatre corridor", "Theatre 1", "Theatre 2"]),
    "laboratories": ("Laboratories", ["Lab airlock", "Lab 1", "Lab 2", "Sample store"]),
    "pharmacy": ("Pharmacy", ["Pharmacy door", "Controlled drugs room"]),
    "imaging": ("Imaging suite", ["MRI control room", "CT corridor"]),
    "plant-rooms": ("Plant rooms", ["Boiler house", "Switch room"]),
    "server-room": ("Server room", ["Server room door"]),
    "offices": ("Offices", ["Second floor", "Third floor"]),
    "kitchens": ("Kitchens", ["Main kitchen", "Cold store"]),
    "trial-suite": ("Trial suite", ["Trial suite door"]),
    "cycle-store": ("Cycle store", ["Cycle gate"]),
}

# What the mapping says, once more, so that day 1 begins in step. Level: any of, all of.
RULES = {
    "main-entrances": (["STAFF-ALL"], []),
    "wards": (["WARDS-CLINICAL"], []),
    "theatres": (["THEATRE-TEAM"], ["HYGIENE-TRAINED"]),
    "laboratories": (["LAB-STAFF"], ["LAB-SAFETY-TRAINED"]),
    "pharmacy": (["PHARMACY-STAFF"], []),
    "imaging": (["IMAGING-STAFF"], []),
    "plant-rooms": (["ESTATES-CREW"], []),
    "server-room": (["SERVER-ROOM"], []),
    "offices": (["OFFICE-STAFF"], []),
    "kitchens": (["CATERING-CREW"], []),
    "trial-suite": (["TRIAL-AURORA"], []),
}

COLUMNS = [
    "id", "employee_number", "given_name", "family_name", "department", "title", "manager", "mail", "employee_type",
    "status", "leave_date",
]


def plain(text):
    """A name as accounts write it: ASCII, lower case, no blanks or apostrophes."""
    text = unicodedata.normalize("NFKD", text.translate(LETTERS))
    return "".join(c for c in text.lower() if c.isascii() and (c.isalnum() or c == "-"))


class People:
    """Makes people with names that do not repeat."""

    def __init__(self, rng):
        self.rng = rng
        rows = [line.split("|") for line in NAMES if line]
        self.given = [(row[0], row[2] if len(row) > 2 else plain(row[0])) for row in rows]
        self.family = [(row[1], row[3] if len(row) > 2 else plain(row[1])) for row in rows]
        self.latin = [n for n, row in enumerate(rows) if len(row) == 2]
        self.other = [n for n, row in enumerate(rows) if len(row) > 2]
        self.used = set()
        self.count = 0

    def name(self):
        # People of one language keep to it half of the time; the others are as mixed as a hospital is.
        while True:
            if self.rng.random() < 0.03:
                given = family = self.rng.choice(self.other)
            else:
                given = self.rng.choice(self.latin)
                family = given if self.rng.random() < 0.3 else self.rng.choice(self.latin)
            if (given, family) not in self.used:
                self.used.add((given, family))
                return self.given[given], self.family[family]

    def make(self, department=None):
        (given, given_plain), (family, family_plain) = self.name()
        self.count += 1
        if department is None:
            weights = [row[3] for row in DEPARTMENTS]
            department = self.rng.choices(DEPARTMENTS, weights=weights)[0]
        else:
            department = next(row for row in DEPARTMENTS if row[0] == department)
        number = f"{10400 + self.count * 3:05d}"
        return {
            "id": f"P{4000 + self.count:05d}",
            "employee_number": number,
            "given_name": given,
            "family_name": family,
            "department": department[0],
            "title": self.rng.choice(department[1]),
            "manager": "",
            "mail": f"{given_plain}.{family_plain}@northgate.example",
            "employee_type": "Agency" if self.rng.random() < 0.06 else "Employee",
            "status": "active",
            "leave_date": "2099-12-31" if self.rng.random() < 0.05 else "",
            "groups": {"STAFF-ALL", *department[2]},
        }


def managers(people):
    """The first of each department leads it."""
    first = {}
    for person in people:
        first.setdefault(person["department"], person)
    for person in people:
        lead = first[person["department"]]
        person["manager"] = "" if lead is person else lead["id"]


def levels_of(person):
    groups = person["groups"]
    return {
        level
        for level, (any_of, all_of) in RULES.items()
        if groups.intersection(any_of) and groups.issuperset(all_of)
    }


def cardholder(person, number):
    keys = [
        {"kind": "employee", "value": person["employee_number"]},
        {"kind": "mail", "value": person["mail"]},
        {"kind": "card", "value": f"26-{number}"},
    ]
    return {
        "id": f"ch-{number}",
        "keys": keys,
        "profile": {
            "department": person["department"],
            "display_name": f"{person['given_name']} {person['family_name']}",
            "employee_number": person["employee_number"],
            "family_name": person["family_name"],
            "given_name": person["given_name"],
            "mail": person["mail"],
            "title": person["title"],
        },
        "status": "active",
        "levels": sorted(levels_of(person)),
        "credentials": [{"id": f"card-{number}", "kind": "card", "number": f"26-{number}", "status": "active"}],
        "validity": {"from": None, "until": None},
        "site": "northgate",
        "revision": "1",
    }


def orphan(number, name, levels, status="active"):
    return {
        "id": f"ch-{number}",
        "keys": [{"kind": "card", "value": f"26-{number}"}],
        "profile": {"display_name": name},
        "status": status,
        "levels": levels,
        "credentials": [{"id": f"card-{number}", "kind": "card", "number": f"26-{number}", "status": "active"}],
        "validity": {"from": None, "until": None},
        "site": "northgate",
        "revision": "1",
    }


def first_day(rng):
    """Everybody on the first day, and the PACS as it is then."""
    maker = People(rng)
    people = [maker.make() for _ in range(STAFF)]
    managers(people)
    digital = [person for person in people if person["department"] == "Digital Services"]
    for person in digital[:6]:
        person["groups"].add("SERVER-ROOM")
    research = [person for person in people if person["department"] == "Clinical Research"]
    for person in research[:5]:
        person["groups"].add("TRIAL-AURORA")

    holders = [cardholder(person, 51000 + n * 7) for n, person in enumerate(people)]
    # Levels that nobody manages stay whatever happens.
    for holder in rng.sample(holders, 40):
        holder["levels"] = sorted({*holder["levels"], "cycle-store"})
    # Small differences, as every grown system has them.
    by_id = dict(zip((person["id"] for person in people), holders))
    drifted = rng.sample([p for p in people if "WARDS-CLINICAL" in p["groups"]], 3)
    for person in drifted:
        by_id[person["id"]]["levels"].remove("wards")
    for person in rng.sample([p for p in people if p["department"] == "Finance"], 2):
        by_id[person["id"]]["levels"] = sorted({*by_id[person["id"]]["levels"], "plant-rooms"})
    for person in rng.sample(people, 4):
        by_id[person["id"]]["profile"]["department"] = "Ward Nursing (old)"
    # Two who left before the first day, and whose cards still open doors.
    forgotten = [maker.make("Estates"), maker.make("Catering")]
    for n, person in enumerate(forgotten):
        person["status"] = "left"
        person["manager"] = next(p["id"] for p in people if p["department"] == person["department"])
        holders.append(cardholder(person, 56000 + n * 7))
        person["groups"] = set()
    people.extend(forgotten)
    # Records that nobody accounts for.
    holders.append(orphan(58001, "Fire officer key 1", ["main-entrances", "plant-rooms"]))
    holders.append(orphan(58008, "Window cleaning 2019", ["main-entrances"]))
    holders.append(orphan(58015, "Visitor 14", ["main-entrances"], "suspended"))
    return maker, people, holders, forgotten


def second_day(rng, maker, people, forgotten):
    """What a night at the personnel office does. Changes `people` in place and says what it did."""
    told = []

    def note(what, person):
        told.append(f"{what}: {person['id']} {person['given_name']} {person['family_name']}")

    here = [p for p in people if p["status"] == "active" and p["manager"] and "TRIAL-AURORA" not in p["groups"]]
    chosen = iter(rng.sample(here, 40))

    # Six move: four to other work, one marries, one gets another title.
    for _ in range(4):
        person = next(p for p in chosen if p["department"] not in ("Pharmacy", "Finance"))
        kept = person["groups"] & {"HYGIENE-TRAINED", "LAB-SAFETY-TRAINED"}
        department = DEPARTMENTS[9] if len(told) % 2 else DEPARTMENTS[5]
        person["department"], person["title"] = department[0], department[1][0]
        person["groups"] = {"STAFF-ALL", *department[2], *kept}
        note("moves", person)
    person = next(chosen)
    person["family_name"] += "-Nwosu"
    note("moves (new family name)", person)
    person = next(chosen)
    person["title"] = "Senior " + person["title"]
    note("moves (new title)", person)

    # Four leave: two by their status, one by a last day, one is not in the file any more.
    for _ in range(2):
        person = next(chosen)
        person["status"], person["leave_date"] = "left", ""
        person["groups"] = set()
        note("leaves (status)", person)
    person = next(chosen)
    person["leave_date"] = "2026-01-30"
    note("leaves (last day)", person)
    person = next(chosen)
    people.remove(person)
    note("leaves (not in the file)", person)

    # One is on a status that the configuration does not know.
    person = next(chosen)
    person["status"] = "secondment"
    note("undecided", person)

    # One comes back.
    person = forgotten[0]
    person["status"] = "active"
    person["groups"] = {"STAFF-ALL", "ESTATES-CREW"}
    note("comes back", person)

    # Five join; a sixth has somebody else's employee number.
    for department in ("Ward Nursing", "Ward Nursing", "Pathology", "Radiology", "Catering"):
        person = maker.make(department)
        person["employee_type"], person["leave_date"] = "Employee", ""
        people.append(person)
        note("joins", person)
    twin = maker.make("Finance")
    twin["employee_number"] = next(chosen)["employee_number"]
    people.append(twin)
    note("has the employee number of somebody else", twin)
    managers(people)

    # A whole group is emptied, by mistake.
    for person in people:
        person["groups"].discard("TRIAL-AURORA")
    told.append("group TRIAL-AURORA: nobody is in it any more")
    return told


def write_people(path, people):
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        out.writerows(people)


def write_groups(path, people):
    names = sorted({name for any_of, all_of in RULES.values() for name in (*any_of, *all_of)})
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["group", "member"])
        for name in names:
            members = [person["id"] for person in people if name in person["groups"]]
            # A row without a member says that the group is there, and that nobody is in it.
            out.writerows([name, member] for member in members or [""])


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    rng = random.Random(SEED)
    maker, people, holders, forgotten = first_day(rng)
    write_people(folder / "people.csv", people)
    write_groups(folder / "groups.csv", people)
    levels = {
        name: {"name": title, "doors": doors, "site": "northgate"} for name, (title, doors) in LEVELS.items()
    }
    world = {
        "version": 1,
        "id": "northgate-simulated",
        "generation": 1,
        "sites": {"northgate": "Northgate campus"},
        "levels": levels,
        "cardholders": holders,
    }
    text = json.dumps(world, ensure_ascii=False, indent=1)
    (folder / "pacs.json").write_text(text + "\n", encoding="utf-8")
    told = second_day(rng, maker, people, forgotten)
    write_people(folder / "people-day2.csv", people)
    write_groups(folder / "groups-day2.csv", people)
    print("\n".join(told))


if __name__ == "__main__":
    main()
