#!/usr/bin/env python3
"""Writes the sets that are kept here: what the authors of packs say of their own rules.

    python3 consumer/redact/accuracy/collect.py betterleaks|noseyparker [CHECKOUT]

CHECKOUT is a clone of the repository; without it one is made. Only files at the revision below are read. `betterleaks` needs Go: its
examples are code, which makes up most secrets. Its generator of rules is built with a file of ours in place of one of its own
(below), which writes down what each rule is tried on instead of trying it, and what all rules together find there; what is made up is
made up the same way every time. `noseyparker` needs PyYAML.

A line is an example: `rule`, `text`, and what has to go, `secrets`, each as it stands in the text, wherever it does, or where `start` says,
in bytes; none in a negative example. `also`
is what other rules of the same authors find there. `opens_nothing`: the rule finds names, ids or addresses. `generic`: it finds
whatever looks like a secret, not those of one issuer or format.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = {
    "betterleaks": ("https://github.com/betterleaks/betterleaks", "6381fa45ae946c588e2e1334d8396a15e5171ad6"),
    "noseyparker": ("https://github.com/praetorian-inc/noseyparker", "2e6e7f36ce36619852532bbe698d8cb7a26d2da7"),
}
# Positive examples of a rule that are kept: they differ in what stands around the secret only, and every rule keeps others.
KEPT = 6
# As in convert.py: rules that others need beside them, and that find no secret themselves.
NAMES = re.compile(r"-id(?:$|[.-])|domain|url|host|endpoint|user|email|region|-name|project|subdomain|organi[sz]ation")

# Rules for anything that looks like a secret, whoever issued it.
GENERIC = ("generic-api-key", "generic-password", "generic-credential-uri", "generic-username", "curl-auth-header", "curl-auth-user")

# In place of cmd/generate/config/utils/validate.go.
VALIDATE = """package utils

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/betterleaks/betterleaks/cmd/generate/config/base"
	"github.com/betterleaks/betterleaks/config"
	"github.com/betterleaks/betterleaks/detect"
)

type example struct {
	Rule    string   `json:"rule"`
	Text    string   `json:"text"`
	Secrets []string `json:"secrets"`
	Also    []string `json:"also"`
	Skip    bool     `json:"skip"`
}

var examples []example

func Validate(rule config.Rule, positive []string, negative []string) *config.Rule {
	alone := rule
	alone.SkipReport = false
	alone.RequiredRules = nil
	detector := detectorOf(map[string]config.Rule{rule.RuleID: alone})
	for _, text := range positive {
		examples = append(examples, example{rule.RuleID, text, found(detector, text), nil, rule.SkipReport})
	}
	for _, text := range negative {
		examples = append(examples, example{rule.RuleID, text, nil, nil, rule.SkipReport})
	}
	return &rule
}

func ValidateWithPaths(rule config.Rule, positive map[string]string, negative map[string]string) *config.Rule {
	return &rule
}

// Dump writes all examples, with what all rules together find in them.
func Dump(rules map[string]config.Rule) {
	all := make(map[string]config.Rule)
	for id, rule := range rules {
		rule.SkipReport = false
		rule.RequiredRules = nil
		all[id] = rule
	}
	detector := detectorOf(all)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, example := range examples {
		example.Also = found(detector, example.Text)
		if err := encoder.Encode(example); err != nil {
			panic(err)
		}
	}
}

func found(detector *detect.Detector, text string) []string {
	var secrets []string
	for _, finding := range detector.DetectString(text) {
		secrets = append(secrets, finding.Secret)
	}
	return secrets
}

func detectorOf(rules map[string]config.Rule) *detect.Detector {
	cfg := base.CreateGlobalConfig()
	cfg.Rules = rules
	cfg.Keywords = make(map[string]struct{})
	cfg.KeywordToRules = make(map[string][]string)
	for id, rule := range rules {
		if len(rule.Keywords) == 0 {
			cfg.NoKeywordRules = append(cfg.NoKeywordRules, id)
		}
		for _, keyword := range rule.Keywords {
			keyword = strings.ToLower(keyword)
			cfg.Keywords[keyword] = struct{}{}
			cfg.KeywordToRules[keyword] = append(cfg.KeywordToRules[keyword], id)
		}
	}
	return detect.NewDetector(cfg)
}
"""
# Lines of other files of its, and what stands in their place.
CHANGES = {
    "main.go": [
        ("/config/rules\"\n", "/config/rules\"\n\t\"github.com/betterleaks/betterleaks/cmd/generate/config/utils\"\n"),
        ("\tfuncMap := template.FuncMap{", "\tutils.Dump(ruleLookUp)\n\tos.Exit(0)\n\tfuncMap := template.FuncMap{"),
    ],
    "../secrets/regen.go": [
        ("\t\"math\"\n", "\t\"hash/crc32\"\n\t\"math\"\n"),
        ("\t\tpanic(err)\n\t}\n", "\t\tpanic(err)\n\t}\n\tg.SetSeed(int64(crc32.ChecksumIEEE([]byte(regex))))\n"),
    ],
}


def betterleaks(checkout):
    package = os.path.join(checkout, "cmd/generate/config")
    with tempfile.TemporaryDirectory() as made:
        replaced = {"utils/validate.go": VALIDATE}
        for name, changes in CHANGES.items():
            with open(os.path.join(package, name)) as file:
                replaced[name] = file.read()
            for before, after in changes:
                if before not in replaced[name]:
                    sys.exit(f"{name} is not what this script was written for")
                replaced[name] = replaced[name].replace(before, after)
        overlay = {}
        for name, text in replaced.items():
            path = os.path.join(made, name.replace("/", "-").strip(".-"))
            with open(path, "w") as file:
                file.write(text)
            overlay[os.path.normpath(os.path.join(package, name))] = path
        with open(os.path.join(made, "overlay.json"), "w") as file:
            json.dump({"Replace": overlay}, file)
        said = subprocess.run(
            ["go", "run", "-overlay", file.name, ".", os.devnull],
            cwd=package, check=True, capture_output=True, text=True,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout  # fmt: skip
    rules = {}
    for line in said.splitlines():
        if line.startswith("{"):
            example = json.loads(line)
            rules.setdefault(example["rule"], []).append(example)
    for number, (rule, examples) in enumerate(sorted(rules.items())):
        positive = sorted((e for e in examples if e["secrets"]), key=lambda example: example["text"])
        step = max(1, len(positive) // KEPT)
        for example in positive[number % step :: step][:KEPT] + [e for e in examples if not e["secrets"]]:
            opens_nothing = example["skip"] and bool(NAMES.search(rule))
            yield kept(rule, example["text"], example["secrets"], example["also"], opens_nothing, rule in GENERIC)


# The group that is the secret, where it is not the last.
GROUPS = {"np.postgres.1": 2}
# What stands for a secret and is none.
STAND_IN = re.compile(r'"?(?:\$\w+|%\w+%|#\{.*|\w{0,8}-?x{12,})"?\s*')


def group(rule, match):
    """The number of the last group that took part, behind names and addresses; else all of it."""
    return GROUPS.get(rule, next((number for number in range(len(match.groups()), 0, -1) if match[number]), 0))


def noseyparker(checkout):
    import yaml

    folder = os.path.join(checkout, "crates/noseyparker/data/default/builtin/rules")
    rules = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name)) as file:
            rules += yaml.safe_load(file)["rules"]
    patterns = {}
    for rule in rules:
        # Python has no flags in the middle of a pattern; where the secret stands does not depend on them.
        flags = re.ASCII
        for letter in "".join(re.findall(r"\(\?([isx]+)\)", rule["pattern"])):
            flags |= getattr(re, letter.upper())
        patterns[rule["id"]] = re.compile(re.sub(r"\(\?[isx]+\)", "", rule["pattern"]), flags)
    for rule in (rule for rule in rules if "secret" in rule.get("categories", [])):
        name, generic = rule["id"], "generic" in rule["categories"]
        # Where an example says where a file lies, that is where it lies for a service.
        for text in (text.replace("/root/", "/var/lib/") for text in rule.get("examples") or []):
            match = patterns[name].search(text)
            if match and not STAND_IN.fullmatch(match[group(name, match)]):
                number = group(name, match)
                example = kept(name, text, [match[number]], others(patterns, text), False, generic)
                yield example | {"start": len(text[: match.start(number)].encode())}
        for text in rule.get("negative_examples") or []:
            yield kept(name, text, [], others(patterns, text), False, generic)


def others(patterns, text):
    """What any rule finds in the text."""
    return [match[group(name, match)] for name, pattern in patterns.items() for match in pattern.finditer(text)]


def kept(rule, text, secrets, also, opens_nothing, generic):
    example = {"rule": rule, "text": text}
    if secrets:
        example["secrets"] = sorted(set(secrets))
    if set(also or []) - set(secrets or []):
        example["also"] = sorted(set(also) - set(secrets or []))
    if opens_nothing:
        example["opens_nothing"] = True
    if generic:
        example["generic"] = True
    return example


NOTICES = {
    "betterleaks": "MIT License, Copyright (c) 2026 Zachary Rice; the licence stands in packs/secrets.toml.",
    "noseyparker": "Copyright Praetorian Security, Inc., Apache-2.0.",
}


def main():
    name = sys.argv[1]
    address, revision = SOURCES[name]
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", *(sys.argv[2:3] or [address]), made], check=True)
        subprocess.run(["git", "checkout", "--quiet", revision], cwd=made, check=True)
        examples = list({"betterleaks": betterleaks, "noseyparker": noseyparker}[name](made))
    with open(os.path.join(HERE, f"{name}.jsonl"), "w") as out:
        print(f"# Examples of {address}, revision {revision}. {NOTICES[name]}", file=out)
        print("# Written by collect.py. None of them opens anything.", file=out)
        for example in examples:
            print(json.dumps(example, ensure_ascii=False), file=out)


main()
