"""What must be true of the tree as a whole: directions, translations, words, hardening."""
import pathlib
import re
import shutil
import subprocess

import pytest

from belfry import BINARY, TOP

SRC = TOP / "src"

# Who may include whom: itself and these, no other. Services see of each other client.h alone.
LIBRARIES = {
    "base": "",
    "config": "base",
    "json": "base",
    "http": "base",
    "schedule": "base json",
    "scheduler": "base schedule",
    "db": "base",
    "registry": "base config",
    "cache": "base",
    "service": "base cache config json http db registry",
}
SERVICES = {
    "auth": "base cache config json http db service",
    "gateway": "base cache config json http service",
    "job-admin": "base cache config json http db schedule scheduler service",
    "job-execute": "base config json http schedule scheduler service",  # no SQL at all
}
PROGRAM = {"belfry"}  # includes whatever it likes

FORBIDDEN = ("strcpy", "strcat", "strncpy", "strncat", "sprintf", "vsprintf", "gets", "atoi", "atol",
             "atof", "strtok", "alloca", "system", "popen")
LINES_MAX = 900


def sources(*patterns):
    return [path for pattern in patterns for path in sorted(SRC.rglob(pattern))]


def none(faults):
    """One fault a line: pytest cuts long lists."""
    faults = list(faults)
    assert not faults, "\n" + "\n".join(str(fault) for fault in faults)


def is_test(path):
    return path.name.startswith(("test-", "fuzz-"))


def tracked():
    """Files of the repository, or, in a tree without git, all that are no products."""
    git = shutil.which("git")
    listed = git and subprocess.run([git, "-C", str(TOP), "ls-files", "-z"], capture_output=True)
    if listed and listed.returncode == 0:
        return [TOP / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in TOP.rglob("*")
            if path.is_file() and not re.match(r"(build|data|\.git)", str(path.relative_to(TOP)))]


# --- directions ---------------------------------------------------------------------------------

def include_fault(path, included):
    folder, target = path.relative_to(SRC).parts[0], included.split("/")[0]
    if folder in PROGRAM or folder == target:
        return None
    allowed = (LIBRARIES.get(folder) or SERVICES.get(folder, "")).split()
    if target in allowed:
        return None
    if folder in SERVICES and target in SERVICES and included == f"{target}/client.h":
        return None
    return f"{path.relative_to(TOP)} includes {included}"


def test_folders_include_downwards_only():
    faults = []
    for path in sources("*.c", "*.h"):
        for included in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            if "/" not in included:
                faults.append(f"{path.relative_to(TOP)}: \"{included}\" is not written from src")
            elif not (SRC / included).exists():
                faults.append(f"{path.relative_to(TOP)}: {included} does not exist")
            else:
                faults.append(include_fault(path, included))
    none([fault for fault in faults if fault])


def test_every_folder_has_its_place():
    folders = {path.name for path in SRC.iterdir() if path.is_dir()}
    assert folders - LIBRARIES.keys() - SERVICES.keys() - PROGRAM == set()


def test_own_header_is_included_first():
    """So that every header includes what it needs. A private one of the folder will do."""
    faults = []
    for path in sources("*.c"):
        first = re.search(r'^#include [<"]([^">]+)', path.read_text(), re.M)
        if path.with_suffix(".h").exists() and \
                first.group(1).split("/")[0] != path.relative_to(SRC).parts[0]:
            faults.append(f"{path.relative_to(TOP)} includes {first.group(1)} first")
    none(faults)


# --- text of C ----------------------------------------------------------------------------------

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)
FORMATS = {"PRId64": "ld", "PRIu64": "lu", "PRIx64": "lx"}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


def without_comments(text):
    return TOKEN.sub(lambda m: " " if m.group(0)[0] == "/" else m.group(0), text)


def unescape(literal):
    literal = re.sub(r"\\([0-7]{1,3})(?![0-9])", lambda m: chr(int(m.group(1), 8)), literal)
    return re.sub(r"\\(.)", lambda m: ESCAPES.get(m.group(1), m.group(1)), literal)


LITERALS = re.compile(r'(?:"(?:[^"\\\n]|\\.)*"|\bPRI[dux]64\b)(?:\s*(?:"(?:[^"\\\n]|\\.)*"|\bPRI[dux]64\b))*')


def joined(sequence):
    """The text of adjacent literals, with format macros filled in."""
    parts = re.findall(r'"((?:[^"\\\n]|\\.)*)"|(PRI[dux]64)', sequence)
    return "".join(unescape(text) if not macro else FORMATS[macro] for text, macro in parts)


def call_literals(text, name, position):
    """The literal that is argument number position of each call of name."""
    for match in re.finditer(rf"\b{name}\s*\(", text):
        depth, argument, start, i = 1, 0, match.end(), match.end()
        while depth and i < len(text):
            token = TOKEN.match(text, i)
            if token:
                i = token.end()
                continue
            if text[i] in "([{":
                depth += 1
            elif text[i] in ")]}":
                depth -= 1
            if (text[i] == "," and depth == 1) or depth == 0:
                if argument == position:
                    yield text[start:i].strip()
                argument, start = argument + 1, i + 1
            i += 1


def code():
    for path in sources("*.c"):
        if not is_test(path):
            yield path, without_comments(path.read_text())


# --- translations -------------------------------------------------------------------------------

ROW = re.compile(r'\{ "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)" \},')
CONVERSION = re.compile(r"%(?:(\d)\$)?((?:\.\*)?[lz]*[a-z])")


def translations():
    rows = []
    for number, line in enumerate((SRC / "base/message-zh.inc").read_text().splitlines(), 1):
        row = ROW.fullmatch(line)
        assert row, f"message-zh.inc:{number}: {line}"
        rows.append((unescape(row.group(1)), unescape(row.group(2))))
    return rows


def conversions(text):
    return CONVERSION.findall(text.replace("%%", ""))


def test_translations_are_sorted_for_bsearch():
    keys = [english.encode() for english, _ in translations()]
    assert keys == sorted(keys)
    assert len(keys) == len(set(keys))


def test_translations_have_the_same_conversions():
    faults = []
    for english, chinese in translations():
        want = [kind for _, kind in conversions(english)]
        got = [want[int(place) - 1] if place else kind for place, kind in conversions(chinese)]
        places = [place for place, _ in conversions(chinese)]
        if sorted(got) != sorted(want) or (got != want and not all(places)):
            faults.append((english, chinese))
        if any(kind != want[int(place) - 1] for place, kind in conversions(chinese) if place):
            faults.append((english, chinese))
    none(faults)


def test_every_error_has_a_translation():
    known = {english for english, _ in translations()}
    faults = []
    for path, text in code():
        if path == SRC / "base/error.c":
            continue
        for name, position in (("error_set", 2), ("error_set_at", 3), ("ERROR_TERM", 0)):
            for argument in call_literals(text, name, position):
                for sequence in LITERALS.findall(argument):
                    message = joined(sequence)
                    # "%s" passes on a text that is in the reader's language already
                    if message not in known and message != "%s":
                        faults.append(f"{path.relative_to(TOP)}: {message}")
    none(faults)


def test_every_translation_is_of_something():
    said = set()
    for path in sources("*.c", "*.h", "*.inc"):
        if path.name != "message-zh.inc":
            for sequence in LITERALS.findall(without_comments(path.read_text())):
                said.add(joined(sequence))
                said.update(joined(part) for part in re.findall(r'"(?:[^"\\\n]|\\.)*"', sequence))
    # A macro may put a beginning in front: then both parts stand in the code.
    prefixes = [text for text in said if text.endswith(": ")]
    none([english for english, _ in translations() if english not in said and not any(
        english.startswith(prefix) and english[len(prefix):] in said for prefix in prefixes)])


# --- words and sizes ----------------------------------------------------------------------------

def test_no_forbidden_functions():
    faults = []
    for path, text in code():
        bare = TOKEN.sub('""', text)
        for name in re.findall(rf"(?<![\w.>])({'|'.join(FORBIDDEN)})\s*\(", bare):
            faults.append(f"{path.relative_to(TOP)}: {name}")
    none(faults)


def test_only_the_launcher_forks():
    for path, text in code():
        if re.search(r"(?<!\w)v?fork\s*\(", TOKEN.sub('""', text)):
            assert path.relative_to(SRC).parts[0] == "job-execute", path
            assert path.name.startswith(("launcher", "supervisor")), path


def test_no_path_or_word_of_the_workplace():
    words = re.compile(r"/work/|/tmp/b-|/root/|\bClaude\b|Anthropic|\bsubagent|\bAI assistant", re.I)
    faults = []
    for path in tracked():
        if path.is_symlink() or not path.exists() or path == pathlib.Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if words.search(line):
                faults.append(f"{path.relative_to(TOP)}:{number}: {line.strip()[:120]}")
    none(faults)


def test_files_are_short():
    counts = {path: path.read_text(errors="replace").count("\n") for path in tracked()
              if path.suffix in (".c", ".h", ".py") and path.exists()}
    none([f"{path.relative_to(TOP)}: {count} lines" for path, count in counts.items()
          if count > LINES_MAX])


def test_every_unit_test_and_fuzz_target_is_built():
    builds = "\n".join(path.read_text() for path in sources("meson.build"))
    faults = []
    for path in sources("test-*.c", "fuzz-*.c"):
        name = re.sub(r"^(test|fuzz)-", "", path.stem)
        if f"'{name}'" not in builds and f"'{path.name}'" not in builds:
            faults.append(str(path.relative_to(TOP)))
    none(faults)


def test_python_tests_have_different_names():
    """pytest takes them for modules of one name space."""
    names = [path.name for path in (TOP / "tests").rglob("test_*.py")]
    none(name for name in set(names) if names.count(name) > 1)


# --- documentation ------------------------------------------------------------------------------

def test_every_decision_is_in_the_list():
    listed = re.findall(r"\]\(([^)/]+\.md)\)", (TOP / "docs/decisions/README.md").read_text())
    pages = [path.name for path in (TOP / "docs/decisions").glob("*.md") if path.name != "README.md"]
    assert sorted(listed) == sorted(pages)


def test_links_between_documents_lead_somewhere():
    faults = []
    for path in [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
            if not (path.parent / target).exists():
                faults.append(f"{path.relative_to(TOP)}: {target}")
    none(faults)


# --- the program --------------------------------------------------------------------------------

def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, str(BINARY)], capture_output=True, text=True,
                          check=True).stdout


@pytest.fixture(scope="module")
def symbols():
    text = readelf("--dyn-syms")
    if "__asan_init" in text or "__tsan_init" in text:
        pytest.skip("a sanitizer build is not what is shipped")
    return text


def test_program_is_position_independent(symbols):
    assert re.search(r"Type:\s+DYN", readelf("-h"))
    assert re.search(r"FLAGS_1.*\bPIE\b", readelf("-d"))


def test_program_has_read_only_relocations_bound_at_start(symbols):
    assert "GNU_RELRO" in readelf("-l")
    assert re.search(r"FLAGS_1.*\bNOW\b", readelf("-d"))


def test_program_has_no_executable_stack_nor_writable_code(symbols):
    rows = [line.split() for line in readelf("-l").splitlines()]
    stack = [row for row in rows if row and row[0] == "GNU_STACK"]
    assert stack and stack[0][-2] == "RW"
    assert not [row for row in rows if row and row[0] == "LOAD" and "W" in row and "E" in row]
    assert not re.search(r"LOAD.*\bRWE\b", readelf("-l"))


def test_program_has_canaries_and_checked_functions(symbols):
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", ""))


def test_program_is_compiled_for_control_flow_enforcement(symbols):
    """Debian's own start-up objects lack the note, so the program as a whole cannot carry it."""
    code = subprocess.run(["objdump", "-d", "--disassemble=main", str(BINARY)], capture_output=True,
                          text=True, check=True).stdout
    assert re.search(r"<main>:\n\s+\S+:\s+f3 0f 1e fa\s+endbr64", code)


def test_no_name_is_defined_twice():
    """The linker takes the first of two functions in different libraries and says nothing."""
    defined = {}
    libraries = [path for path in (BINARY.parent / "src").rglob("*.a") if "-test" not in path.name]
    for library in sorted(libraries):
        listing = subprocess.run(["nm", "-gA", "--defined-only", str(library)], capture_output=True,
                                 text=True, check=True).stdout
        for line in listing.splitlines():
            place, name = line.rsplit(":", 1)[0], line.split()[-1]
            defined.setdefault(name, []).append(place)
    assert len(defined) > 500
    none(f"{name}: {', '.join(places)}" for name, places in sorted(defined.items())
         if len(places) > 1 and not name.startswith("__"))
