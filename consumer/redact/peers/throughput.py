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


def rate(frames, work):
    """Megabytes per second."""
    size = sum(map(len, frames))
    start = time.thread_time()
    for frame in frames:
        work(frame)
    return size / 1e6 / (time.thread_time() - start)


def vectorscan(corpora, patterns):
    """All patterns that it compiles in one database, block mode. Frames go in pieces of 64 KiB and more, so that the way from
    Python into the library does not count, and each pattern is reported once for each piece."""
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
    for measure, frames in corpora.items():
        pieces, piece = [], b""
        for frame in frames:
            piece += frame + b"\n"
            if len(piece) > 1 << 16:
                pieces.append(piece)
                piece = b""
        scan = lambda piece: database.scan(piece, match_event_handler=lambda *_: None)
        rates = [rate(pieces, scan) for _ in range(ROUNDS)]
        contender = f"Vectorscan, {len(known)} of {len(patterns)} patterns, found"
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
