#!/usr/bin/env python3
"""Writes issuers.toml from the rules of Nosey Parker (Apache-2.0) that find what no other pack finds.

    python3 consumer/redact/packs/convert_noseyparker.py [--check] [CHECKOUT]

CHECKOUT is a clone of https://github.com/praetorian-inc/noseyparker; without it one is made. Only its rule files are read,
at the revision below, so the result is the same for everyone; --check compares. Needs PyYAML.

What is converted: name, pattern, and of the examples the first in which the pattern finds something that no other pack does, with
what has to go. What is not: rules about names and addresses; rules all of whose examples the other packs find.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import warnings

import yaml

warnings.simplefilter("ignore")
try:
    import re._parser as sre
except ImportError:  # Python before 3.11
    import sre_parse as sre

ADDRESS = "https://github.com/praetorian-inc/noseyparker"
REVISION = "2e6e7f36ce36619852532bbe698d8cb7a26d2da7"
RULES = "crates/noseyparker/data/default/builtin/rules/"
HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, "issuers.toml")
OTHERS = ("credentials.toml", "secrets.toml")

# Rules of theirs that find whatever is named like a secret: what they find here, they find under that name only.
BY_NAME = ("assigned-secret", "environment-secret", "command-secret")

# Converted, whatever other rules find: aws-secret-key in credentials.toml wants letters of both cases.
NEEDED = ("np.aws.2",)

# Words to look for, where those that every match has stand everywhere.
WORDS = {"np.facebook.1": ["facebook", "fbapi", "fb_api", "fbapp", "fb_app", "fbclient", "fbsecret", "fb_secret", "fbkey", "fb_key"]}
# Patterns that take a part of an address for a token, or find their word inside another.
CORRECTED = {
    "np.jenkins.1": lambda pattern: pattern.replace("jenkins.{0,12}", "jenkins[^/\\n]{0,12}"),
    "np.okta.1": lambda pattern: pattern.replace("(?:okta|ssws)", "(?:\\b|_)(?:okta|ssws)"),
}

# Not converted, and why.
SKIPPED = {
    "generic.yml": "patterns for anything",
    "http.yml": "authorization and basic-credentials in credentials.toml",
    "jwt.yml": "jwt in credentials.toml",
    "pem.yml": "private-key in credentials.toml",
    "postgres.yml": "url-userinfo in credentials.toml",
    "phpmailer.yml": "assigned-secret in credentials.toml",
}
# Likewise, by rule.
RULES_SKIPPED = {
    "np.google.6": "opens nothing by itself",
    "np.truenas.1": "words that stand in every JSON-RPC message",
    "np.truenas.2": "words that stand in every JSON-RPC message",
    "np.google.3": "found by name, and by google-api-key in credentials.toml",
    "np.netrc.1": "words that stand everywhere",
    "np.auth0.1": "auth0-client-secret-1 in secrets.toml",
    "np.hashicorp.1": "words that stand everywhere",
    "np.hashicorp.2": "words that stand everywhere",
    "np.hashicorp.3": "words that stand everywhere",
    "np.kubernetes.1": "words that stand everywhere",
}


def git(checkout, *arguments):
    return subprocess.run(["git", "-C", checkout, *arguments], check=True, capture_output=True, text=True).stdout


def uncommented(pattern):
    return re.sub(r"[ \t]*\(\?\#[^)]*\)", "", pattern)


def hoisted(pattern):
    """Python wants flags for the whole pattern in front, and writes some of it otherwise."""
    flags = "".join(sorted(set("".join(re.findall(r"\(\?([imsx]+)\)", pattern)))))
    bare = re.sub(r"\(\?[imsx]+\)", "", uncommented(pattern))
    bare = bare.replace(r"\z", r"\Z").replace("[[:alnum:]]", "[a-zA-Z0-9]").replace("[:alnum:]", "a-zA-Z0-9")
    return f"(?{flags}){bare}" if flags else bare


def literals(nodes):
    """Words of which every match has one: the best such list, or none."""
    best, run = [], ""

    def offer(words):
        nonlocal best
        words = sorted({word.strip() for word in words})
        if not words or len(words) > 12 or min(map(len, words)) < 3:
            return
        if not best or min(map(len, words)) > min(map(len, best)):
            best = words

    for kind, value in nodes:
        name = str(kind)
        if name == "LITERAL" and 32 <= value < 127 and chr(value) not in "\"\\":
            run += chr(value)
            continue
        offer([run] if run else [])
        run = ""
        if name == "SUBPATTERN":
            offer(literals(value[-1]))
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and value[0] > 0:
            offer(literals(value[2]))
        elif name == "BRANCH":
            branches = [literals(branch) for branch in value[1]]
            offer([word for words in branches for word in words] if all(branches) else [])
    offer([run] if run else [])
    return best


def known():
    """The patterns of the other packs."""
    patterns = []
    for name in OTHERS:
        with open(os.path.join(HERE, name), "rb") as pack:
            for rule in tomllib.load(pack)["rule"]:
                if rule["id"] in BY_NAME:
                    continue
                try:
                    patterns.append((rule["id"], re.compile(hoisted(rule["pattern"]))))
                except (re.error, KeyError):
                    pass
    return patterns


def string(text):
    """A TOML string: literal where it can be, JSON's escapes where not."""
    if "'''" not in text and all(c.isprintable() or c == "\n" for c in text) and not text.endswith("'"):
        return f"'''{text}'''" if "'" in text or "\\" in text or "\n" in text else f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def convert(rule, patterns):
    """The rule in the format of the packs, or why not."""
    if "secret" not in rule.get("categories", []):
        return None, "opens nothing by itself"
    if rule["id"] in CORRECTED:
        rule = rule | {"pattern": CORRECTED[rule["id"]](rule["pattern"])}
    try:
        pattern = re.compile(hoisted(rule["pattern"]))
        words = WORDS.get(rule["id"]) or literals(sre.parse(hoisted(rule["pattern"])))
    except (re.error, OverflowError):
        return None, "no pattern that Python reads as well"
    if not words:
        return None, "no word that every match has"
    reason = "no example with a secret"
    for text in rule.get("examples", []):
        found = pattern.search(text)
        secrets = [group for group in found.groups() if group] or [found[0]] if found else []
        # Where names and addresses stand in front, the secret is the last.
        secret = secrets[-1].strip() if secrets else ""
        if len(secret) < 4 or not text.isascii():
            continue
        others = [name for name, other in patterns if any(secret in (match[0] or "") for match in other.finditer(text))]
        if others and rule["id"] not in NEEDED:
            reason = "found by other packs"
            continue
        group = found.lastindex if found.groups() and secret == (found[found.lastindex] or "").strip() else 0
        lines = ["[[rule]]", f'id = {json.dumps(rule["id"].replace(".", "-").replace("_", "-").lower())}', 'class = "credential"']
        lines.append(f"description = {json.dumps(rule['name'] + '.')}")
        lines.append(f"keywords = {json.dumps(words)}")
        pattern_text = "\n".join(line.rstrip() for line in uncommented(rule["pattern"]).strip("\n").splitlines())
        lines.append(f"pattern = {string(pattern_text)}")
        if group > 1:
            lines.append(f"group = {group}")
        lines.append('validator = "filled"')
        line = next(line for line in text.splitlines() if secret in line) if "\n" not in secret and pattern.search(
            next(line for line in text.splitlines() if secret in line)
        ) else text
        # Where an example says where a file lies, that is where it lies for a service, not for whoever runs as root.
        line = line.replace("/root/", "/var/lib/")
        lines.append(f"finds = [[{json.dumps(line)}, {json.dumps(secret)}]]")
        kept = line.replace(secret, secret[:2])
        # Where two letters are a secret, too, only the word is left.
        lines.append(f"keeps = [{json.dumps(words[0] if pattern.search(kept) else kept)}]")
        return "\n".join(lines) + "\n", None
    return None, reason


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    with tempfile.TemporaryDirectory() as made:
        checkout = arguments[0] if arguments else made
        if not arguments:
            subprocess.run(["git", "clone", "--quiet", ADDRESS, made], check=True)
        files = [name for name in git(checkout, "ls-tree", "--name-only", REVISION, RULES).split() if name.endswith(".yml")]
        texts = {os.path.basename(name): git(checkout, "show", f"{REVISION}:{name}") for name in files}
    patterns = known()
    converted, left_out, count = [], {}, 0
    for name, text in sorted(texts.items()):
        for rule in yaml.safe_load(text)["rules"]:
            count += 1
            skipped = SKIPPED.get(name) or RULES_SKIPPED.get(rule["id"])
            pack, reason = (None, skipped) if skipped else convert(rule, patterns)
            if pack:
                converted.append(pack)
            else:
                left_out.setdefault(reason, []).append(rule["id"])
    head = [
        "# Secrets of known issuers. Written by convert_noseyparker.py; change that, not this.",
        "#",
        f"# {len(converted)} of {count} rules of Nosey Parker, {ADDRESS},",
        f"# revision {REVISION}.",
        "#",
        "# Copyright Praetorian Security, Inc. Licensed under the Apache License, Version 2.0, as this project is; the rules were",
        "# changed: written in another format, with words to look for.",
        "#",
        "# finds: a text, and the secret in it that has to go. keeps: a text in which the rule finds nothing.",
        "# The texts are the rules' own examples; none of them opens anything.",
        "#",
        *(f"# Left out, {reason}: {', '.join(ids)}." for reason, ids in sorted(left_out.items())),
        "",
    ]
    result = "\n".join(head) + "\n" + "\n".join(converted)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if open(TARGET).read() == result else "issuers.toml is not what convert_noseyparker.py writes")
    with open(TARGET, "w") as target:
        target.write(result)
    print(f"{len(converted)} rules converted, {count - len(converted)} left out")


main()
