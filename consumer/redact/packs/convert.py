#!/usr/bin/env python3
"""Writes secrets.toml from the rules of Betterleaks (MIT), as the crate kingfisher-rules 3.0.1 carries them.

    python3 consumer/redact/packs/convert.py [--check]

The crate comes from crates.io through cargo; nothing of its code is built. Its file upstream-sources.json.gz has Betterleaks'
config/betterleaks.toml unchanged, at the revision in its name. The result is the same for everyone; --check compares.

What is converted: id, description, regex, keywords, confidence, and of the filter the entropy and what secrets must not look like. What is not: validation by
network requests, path rules, the token ratio (a dictionary), rules about names that open nothing. For each rule an
example is made from its own regex by a seeded generator: a text, and the secret in it.
"""

import glob
import gzip
import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import tomllib
import warnings

warnings.simplefilter("ignore")
try:
    import re._parser as sre
except ImportError:  # Python before 3.11
    import sre_parse as sre

CRATE, VERSION = "kingfisher-rules", "3.0.1"
SHA256 = "3a1444818b4544476571d1183e7dff20f40b0e79b735f907e08e01840be2ba74"
SOURCE = "/config/betterleaks.toml"
HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, "secrets.toml")

# Not converted, and why.
SKIPPED = {
    "pkcs12-file": "about file names",
    "bittrex-secret-key": "bittrex-access-key, which has the same pattern",
    "generic-api-key": "assigned-secret in credentials.toml",
    "generic-password": "assigned-secret in credentials.toml",
    "generic-username": "opens nothing",
    "private-key": "private-key in credentials.toml, which also finds keys cut short",
    "jwt": "jwt in credentials.toml",
    "aws-secret-access-key": "aws-secret-key in credentials.toml, which wants to hear of AWS",
    "jwt-base64": "found by decoding",
    "curl-auth-user": "url-userinfo and basic-credentials in credentials.toml",
    "curl-auth-header": "authorization in credentials.toml",
}
# Patterns that find a part of the secret and leave the rest, or what another rule finds.
CORRECTED = {
    # Thirty are alibaba-secret-key.
    "alibaba-sts-access-key-secret": lambda regex: regex.replace("{30,64}", "{31,64}"),
    # What follows these words is the key: a presigned request in base64.
    "aws-amazon-bedrock-api-key-short-lived": lambda regex: regex + "[A-Za-z0-9+/=_-]{40,}",
    # A group that repeats is not the secret.
    "microsoft-teams-webhook": lambda regex: regex.replace("([", "(?:["),
}
# Rules that others need beside them, and that find no secret themselves.
NAMES = re.compile(r"-id(?:$|[.-])|domain|url|host|endpoint|user|email|region|-name|project|subdomain|organi[sz]ation")
ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def source():
    """The text of betterleaks.toml and its address."""
    with tempfile.TemporaryDirectory() as project:
        os.mkdir(os.path.join(project, "src"))
        with open(os.path.join(project, "src", "lib.rs"), "w"):
            pass
        with open(os.path.join(project, "Cargo.toml"), "w") as manifest:
            manifest.write(f'[package]\nname = "fetch"\nversion = "0.0.0"\n[dependencies]\n{CRATE} = "={VERSION}"\n')
        subprocess.run(["cargo", "fetch", "--quiet"], cwd=project, check=True)
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    found = glob.glob(f"{home}/registry/src/*/{CRATE}-{VERSION}/generated/upstream-sources.json.gz")
    packed = open(found[0], "rb").read()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        sys.exit(f"{CRATE} {VERSION} is not what this script was written for")
    sources = json.loads(gzip.decompress(packed))
    address = next(name for name in sources if name.endswith(SOURCE))
    licence = next(text for name, text in sources.items() if "/betterleaks/" in name and name.endswith("/LICENSE"))
    return sources[address], address, licence


def entropy(text):
    return -sum(n / len(text) * math.log2(n / len(text)) for n in (text.count(c) for c in set(text))) if text else 0


def least_entropy(rule):
    found = re.search(r'entropy\(finding\["secret"\]\) (<=?) ([\d.]+)', rule.get("filter", ""))
    if not found:
        return 0.0
    return float(found[2]) + (0.001 if found[1] == "<=" else 0.0)


# What a secret has to look like, said as what it must not: fewer than two digits.
TURNED = {
    "^(?:[^0-9]*[0-9]){2}": "^[^0-9]+[0-9]?[^0-9]*$",
    "^sbp_[a-z0-9_-]*[0-9][a-z0-9_-]*[0-9][a-z0-9_-]*$": "^[^0-9]+[0-9]?[^0-9]*$",
}


QUOTED = r'"(?:[^"\\]|\\.)*"|`[^`]*`'


def excepted(rule):
    """Patterns of what the filter lets be."""
    found = []
    lists = rf'(!?)\s*matchesAny\(finding\["secret"\], \[((?:\s*(?:{QUOTED}),?)*)\s*\]\)'
    for negated, patterns in re.findall(lists, rule.get("filter", "")):
        for quoted in re.findall(QUOTED, patterns):
            pattern = quoted[1:-1] if quoted[0] == "`" else json.loads(quoted)
            if not negated:
                # A brace that repeats nothing.
                found.append(re.sub(r"(?<!\\)\{(?![0-9])", r"\{", pattern))
            elif pattern in TURNED:
                found.append(TURNED[pattern])
    return found


class Generator:
    """Texts that a pattern matches."""

    def __init__(self, pattern, seed):
        # What RE2 and Rust write otherwise.
        pattern = re.sub(r"\\z", r"\\Z", pattern).replace("[[:alnum:]]", "[a-zA-Z0-9]").replace("[:alnum:]", "a-zA-Z0-9")
        self.pattern = re.compile(hoisted(pattern))
        self.tree = sre.parse(hoisted(pattern))
        self.random = random.Random(seed)

    def text(self):
        return "".join(self.one(*node) for node in self.tree)

    def all(self, nodes):
        return "".join(self.one(*node) for node in nodes)

    def one(self, kind, value):
        name = str(kind)
        if name == "LITERAL":
            return chr(value)
        if name == "NOT_LITERAL":
            return self.random.choice([c for c in ALPHANUMERIC if ord(c) != value])
        if name == "ANY":
            return self.random.choice(ALPHANUMERIC)
        if name == "IN":
            return self.member(value)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, nodes = value
            most = least if int(most) == int(sre.MAXREPEAT) else int(most)
            count = least if least > 0 or self.random.random() < 0.7 else min(most, 1)
            return "".join(self.all(nodes) for _ in range(count))
        if name == "SUBPATTERN":
            return self.all(value[-1])
        if name == "BRANCH":
            return self.all(self.random.choice(value[1]))
        if name == "AT":
            return ""
        raise ValueError(name)

    def member(self, items):
        negated = str(items[0][0]) == "NEGATE"
        allowed = set()
        for kind, value in items:
            name = str(kind)
            if name == "LITERAL":
                allowed.add(value)
            elif name == "RANGE":
                allowed.update(range(value[0], value[1] + 1))
            elif name == "CATEGORY":
                test = {"CATEGORY_DIGIT": "0123456789", "CATEGORY_WORD": ALPHANUMERIC + "_", "CATEGORY_SPACE": " \t\n"}
                allowed.update(map(ord, test.get(str(value), ALPHANUMERIC)))
        if negated:
            allowed = set(map(ord, ALPHANUMERIC)) - allowed or set(range(33, 127)) - allowed
        plain = [c for c in allowed if chr(c) in ALPHANUMERIC]
        return chr(self.random.choice(sorted(plain or (c for c in allowed if c < 127))))


def hoisted(pattern):
    """Python wants flags for the whole pattern in front."""
    flags = "".join(sorted(set("".join(re.findall(r"\(\?([ims]+)\)", pattern)))))
    bare = re.sub(r"\(\?[ims]+\)", "", pattern)
    return f"(?{flags}){bare}" if flags else bare


def example(rule, least):
    for seed in range(400):
        generator = Generator(rule["regex"], f"{rule['id']} {seed}")
        text = generator.text()
        found = generator.pattern.search(text)
        if not found:
            continue
        groups = [found[rule["valueGroup"]]] if "valueGroup" in rule else found.groups()
        secret = next((group for group in groups if group is not None), found[0]).strip()
        if len(secret) < 4 or entropy(secret.encode()) < least or not secret.isascii() or "\x00" in secret:
            continue
        if rule_is_opaque(rule) and not opaque(secret):
            continue
        if any(re.search(hoisted(pattern), secret) for pattern in excepted(rule)):
            continue
        if any(word.lower() in text.lower() for word in rule["keywords"]):
            return text, secret
        return f"{rule['keywords'][0]} {text}", secret
    return None


def rule_is_opaque(rule):
    return "tokenRatio" in rule.get("filter", "") or "failsTokenEfficiency" in rule.get("filter", "")


def opaque(secret):
    return any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret)


def exact_keywords(rule):
    """The keywords as the pattern spells them, where it has a case."""
    pattern, words = rule["regex"], rule["keywords"]
    if "(?i" in pattern:
        return words, False
    spelled = []
    plain = pattern.replace("\\", "")
    for word in words:
        at = plain.lower().find(word)
        if at < 0:
            return words, False
        spelled.append(plain[at : at + len(word)])
        # Spelled in two ways, or inside a class: case had better not count.
        if re.search(re.escape(word), plain, re.I) and len(set(re.findall(re.escape(word), plain, re.I))) > 1:
            return words, False
    return spelled, True


def string(text):
    """A TOML string: literal where it can be, JSON's escapes where not."""
    if "'''" not in text and text.isprintable() and not text.endswith("'"):
        return f"'''{text}'''" if "'" in text or "\\" in text else f"'{text}'"
    return json.dumps(text)


def convert(rule):
    """The rule in the format of the packs, or why not."""
    if rule["id"] in SKIPPED:
        return None, SKIPPED[rule["id"]]
    if rule.get("skipReport") and NAMES.search(rule["id"]):
        return None, "a name or an address that another rule needs beside it; it opens nothing"
    if rule["id"] in CORRECTED:
        rule = rule | {"regex": CORRECTED[rule["id"]](rule["regex"])}
    least = least_entropy(rule)
    made = example(rule, least)
    if not made:
        return None, "no example could be made"
    words, exact = exact_keywords(rule)
    lines = ["[[rule]]", f"id = {json.dumps(identifier(rule))}", 'class = "credential"']
    lines.append(f"description = {json.dumps(rule['description'])}")
    lines.append(f"keywords = {json.dumps(words)}")
    if exact:
        lines.append("exact = true")
    lines.append(f"pattern = {string(rule['regex'])}")
    if "valueGroup" in rule:
        lines.append(f"group = {rule['valueGroup']}")
    lines.append(f"validator = {json.dumps('opaque' if rule_is_opaque(rule) else 'filled')}")
    if least:
        lines.append(f"entropy = {least:g}")
    if excepted(rule):
        lines.append(f"except = [{', '.join(map(string, excepted(rule)))}]")
    if rule["confidence"] != "high":
        lines.append(f"confidence = {json.dumps(rule['confidence'])}")
    lines.append(f"finds = [[{json.dumps(made[0])}, {json.dumps(made[1])}]]")
    lines.append(f"keeps = [{json.dumps(made[0].replace(made[1], made[1][:2]))}]")
    return "\n".join(lines) + "\n", None


def identifier(rule):
    return re.sub(r"[^a-z0-9-]", "-", rule["id"].lower())[:48]


def main():
    text, address, licence = source()
    rules = tomllib.loads(text)["rules"]
    converted, left_out = [], {}
    for rule in rules:
        pack, reason = convert(rule)
        if pack:
            converted.append(pack)
        else:
            left_out.setdefault(reason, []).append(rule["id"])
    head = [
        "# Secrets of known issuers. Written by convert.py; change that, not this.",
        "#",
        f"# {len(converted)} of {len(rules)} rules of Betterleaks,",
        f"# {address}",
        "#",
        "# finds: a text, and the secret in it that has to go. keeps: a text in which the rule finds nothing.",
        "# Both are made from the rules' own patterns; none of them opens anything.",
        "#",
        *(f"# {line}".rstrip() for line in licence.strip().splitlines()),
        "#",
        *(f"# Left out, {reason}: {', '.join(ids)}." for reason, ids in sorted(left_out.items())),
        "",
    ]
    result = "\n".join(head) + "\n" + "\n".join(converted)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if open(TARGET).read() == result else "secrets.toml is not what convert.py writes")
    with open(TARGET, "w") as target:
        target.write(result)
    print(f"{len(converted)} rules converted, {len(rules) - len(converted)} left out")


main()
