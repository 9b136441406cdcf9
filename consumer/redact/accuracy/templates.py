#!/usr/bin/env python3
"""Fills in the templates of presidio-evaluator: templates.py FOLDER, the folder of its source package.

Prints a JSON object for each sentence: its text, and which values stand where. The values are those that its own generator
would take: a person of its list for the first value of each kind in a sentence, else Faker's and its own formats of phone
numbers, addresses and ages, which are read from its source, since importing it needs pandas, spaCy and transformers. The same sentences
every time.
"""

import ast
import csv
import json
import os
import random
import re
import sys
from collections import OrderedDict

from faker import Faker
from faker.providers import BaseProvider
from faker.providers.address.en_US import Provider as AddressProvider
from faker.providers.phone_number.en_US import Provider as PhoneNumberProvider

SENTENCES = 10_000
SEED = 42
# As many sentences are in lower case.
LOWER = 0.05
PROVIDERS = ("IpAddressProvider", "AgeProvider", "AddressProviderNew", "PhoneNumberProviderNew")
# Columns of its list, by the names that templates use. Card numbers are Faker's, as there.
COLUMNS = {
    "GivenName": ("first_name",), "Surname": ("last_name",), "StreetAddress": ("street_name",), "City": ("city",),
    "StateFull": ("state",), "State": ("state_abbr",), "ZipCode": ("zipcode",), "CountryFull": ("country",),
    "EmailAddress": ("email",), "TelephoneNumber": ("phone_number",), "Birthday": ("date_of_birth",),
    "Age": ("age",), "Occupation": ("job",), "Company": ("organization", "company"), "Title": ("prefix",),
    "NameSet": ("nationality",), "Domain": ("domain_name",),
}  # fmt: skip
OTHERS = {
    "nation_man": "Dane", "nation_woman": "Dane", "nation_plural": "Danes", "nationality": "Danish", "religion": "Buddhism",
    "hospital_name": "Mount Sinai", "us_driver_license": "F162823540116", "organization": "Simple Solutions",
}  # fmt: skip


def parsed(root, name):
    with open(os.path.join(root, "presidio_evaluator/data_generator", name), encoding="utf-8") as file:
        return ast.parse(file.read())


def providers(root):
    """The classes of that source that need Faker only."""
    source = parsed(root, "faker_extensions/providers.py")
    source.body = [node for node in source.body if isinstance(node, ast.ClassDef) and node.name in PROVIDERS]
    known = {
        "random": random, "OrderedDict": OrderedDict, "BaseProvider": BaseProvider, "AddressProvider": AddressProvider,
        "PhoneNumberProvider": PhoneNumberProvider,
    }  # fmt: skip
    exec(compile(source, "providers.py", "exec"), known)
    return [known[name] for name in PROVIDERS]


def kinds(root):
    """What its generator calls the values."""
    for node in ast.walk(parsed(root, "presidio_sentence_faker.py")):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ENTITY_TYPE_MAPPING":
            return ast.literal_eval(node.value)
    sys.exit("presidio_sentence_faker.py has no ENTITY_TYPE_MAPPING")


def people(root):
    path = os.path.join(root, "presidio_evaluator/data_generator/raw_data/FakeNameGenerator.com_3000.csv")
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            person = {name: row[column] for column, names in COLUMNS.items() for name in names if row[column]}
            name = f"{row['GivenName']} {row['Surname']}"
            yield person | {"person": name, "name": name}


def main():
    root = sys.argv[1]
    random.seed(SEED)
    Faker.seed(SEED)
    fake = Faker("en_US")
    for provider in providers(root):
        fake.add_provider(provider)
    mapping, records = kinds(root), list(people(root))
    with open(os.path.join(root, "presidio_evaluator/data_generator/raw_data/templates.txt"), encoding="utf-8", errors="replace") as file:
        templates = [line.strip().replace("\\n", "\n") for line in file]
    for _ in range(SENTENCES):
        template = random.choice(templates).replace("<", "{{").replace(">", "}}")
        person = dict(random.choice(records))
        spell = str.lower if random.random() < LOWER else str
        text, spans, end = "", [], 0
        for match in re.finditer(r"\{\{\s*(\w+)\s*\}\}", template):
            name = match[1].lower()
            value = spell(str(person.pop(name, None) or value_of(fake, name)))
            text += spell(template[end : match.start()])
            spans.append({"entity_type": mapping.get(name, name.upper()), "entity_value": value, "start_position": len(text)})
            text += value
            end = match.end()
        text += spell(template[end:])
        print(json.dumps({"full_text": text, "spans": spans}))


def value_of(fake, name):
    method = getattr(fake, "name" if name == "person" else name, None)
    return OTHERS[name] if method is None else method()


main()
