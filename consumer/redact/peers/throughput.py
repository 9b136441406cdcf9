"""Vectorscan and Presidio over the frames and patterns that the example `throughput` left in a folder.

    python3 throughput.py FOLDER

Prints figures as the example does: processor time of one thread, medians of several rounds. What does not run is left out,
and standard error says why. Presidio has its recognizers of patterns only, no language model, and sees the frames as text.
"""

import json
import pathlib
import statistics
import sys
import time

ROUNDS = 5
# Frames that Presidio sees: it takes a millisecond for hundreds of bytes.
FEW = 60


def spent(frames, work):
    """Seconds of this thread's processor time."""
    start = time.thread_time()
    for frame in frames:
        work(frame)
    return time.thread_time() - start


def rate(frames, work):
    """Megabytes per second."""
    return sum(map(len, frames)) / 1e6 / spent(frames, work)


def vectorscan(corpora, patterns):
    """All patterns that it compiles in one database, block mode, a frame at a time. What is reported is which patterns a frame
    has, each once, as the set of regexes beside it does; that is why a frame is a block: over larger ones a pattern that was
    found would be looked for no more in the frames behind. The way from Python into the library and back is measured on
    nothing and taken off; what it calls for each pattern found is not, of which dense frames have more."""
    import hyperscan

    def compiles(expression):
        try:
            hyperscan.Database().compile(expressions=[expression], flags=[hyperscan.HS_FLAG_SINGLEMATCH])
        except hyperscan.error:
            return False
        return True

    known = [p for p in (pattern.encode() for pattern in patterns) if compiles(p)]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=known,
        ids=list(range(len(known))),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(known),
    )
    scratch = hyperscan.Scratch(database)
    database.scratch = scratch
    found = lambda *_: None
    scan = lambda block: database.scan(block, match_event_handler=found)
    contender = f"Vectorscan, {len(known)} of {len(patterns)} patterns, found"
    for measure, frames in corpora.items():
        rates = []
        for _ in range(ROUNDS):
            nothing = spent([b" "] * len(frames), scan)
            rates.append(sum(map(len, frames)) / 1e6 / (spent(frames, scan) - nothing))
        yield {"measure": measure, "contender": contender, "value": statistics.median(rates), "unit": "MB/s"}


def presidio(corpora, _):
    """Its predefined recognizers that need no model."""
    from presidio_analyzer import PatternRecognizer, RecognizerRegistry

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    recognizers = [r for r in registry.recognizers if isinstance(r, PatternRecognizer)]

    def analyze(frame):
        text = frame.decode()
        for recognizer in recognizers:
            recognizer.analyze(text=text, entities=recognizer.supported_entities, nlp_artifacts=None)

    for measure, frames in corpora.items():
        few = frames[:FEW]
        rates = [rate(few, analyze) for _ in range(3)]
        contender = f"Presidio, {len(recognizers)} recognizers of patterns, found"
        yield {"measure": measure, "contender": contender, "value": statistics.median(rates), "unit": "MB/s"}


def main():
    folder = pathlib.Path(sys.argv[1])
    patterns = json.loads((folder / "patterns.json").read_text())
    corpora = {name: (folder / f"{name}.jsonl").read_bytes().split(b"\n") for name in ("clean", "dense")}
    rows = []
    for peer in (vectorscan, presidio):
        try:
            rows += peer(corpora, patterns)
        except Exception as error:  # Whatever is wrong with it: the others are measured.
            print(f"{peer.__name__} is left out: {error!r}", file=sys.stderr)
    json.dump({"rows": rows}, sys.stdout)


main()
