"""Every alarm has its runbook, and every command in one exists and says what it is said to say.

The commands are not sent anywhere: see `pasted` and `aws_commands`.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

import aws_commands
from infra.metrics import CARRIED
from infra.settings import Settings
from localcloud.program import BOOTSTRAP
from operations.graph import Graph, kind_of
from pasted import Pasted, bash_blocks, paste
from retainwise.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
README = ROOT / "runbooks" / "README.md"
RUNBOOKS = sorted(set(README.parent.glob("*.md")) - {README})
BUDGET = README.with_name("budget.md")
PROCEDURES = sorted(path for path in RUNBOOKS if "\nalarm: none\n" in path.read_text())
ALARMED = sorted({*RUNBOOKS} - {*PROCEDURES})
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verify", "Undo"]
STACK = "prod-retainwise"  # the one that the runbooks' first block names
PULUMI = {"cancel": {"--yes"}}  # the rest has a command of ours, which holds the lease

each_runbook = pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
each_alarmed = pytest.mark.parametrize("path", ALARMED, ids=lambda path: path.stem)
each_text = pytest.mark.parametrize("path", [README, *RUNBOOKS], ids=lambda path: path.stem)


@pytest.fixture(scope="session")
def prod() -> Graph:
    return Graph.of("prod")


@pytest.fixture(scope="session")
def bootstrapped() -> Graph:
    return Graph.of("prod", program=BOOTSTRAP)


@pytest.fixture(scope="session")
def alarms(prod: Graph) -> dict:
    """What tells people, by its name: an alarm that only scales does not."""
    declared = prod.all_of("MetricAlarm", "EventRule", "Budget")
    return {
        name: one
        for name, one in declared.items()
        if kind_of(one) != "MetricAlarm" or any(":sns:" in a for a in one.inputs["alarmActions"])
    }


@pytest.fixture(scope="session")
def pasted(tmp_path_factory):
    """Run a text's blocks, once; the README's come after the first block of a runbook."""

    @cache
    def run(path: Path) -> Pasted:
        first = bash_blocks(ALARMED[0].read_text())[:1] if path == README else []
        blocks = [*first, *bash_blocks(path.read_text())]
        return paste(blocks, tmp_path_factory.mktemp(path.stem))

    return run


def front_matter(path):
    return yaml.safe_load(path.read_text().split("---\n")[1])


def sections(path):
    """Each section's text by its title."""
    parts = re.split(r"^## (.+)\n", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_line(path):
    return sections(path)["Meaning"].strip().splitlines()[0]


def log_events():
    sources = [path for part in ("app", "predictions", "worker") for path in part_of(part)]
    logged = re.compile(r'\blog\.(?:info|warning|error|exception)\(\s*"(\w+)"')
    return {event for path in sources for event in logged.findall(path.read_text())}


def part_of(package):
    return (ROOT / package).rglob("*.py")


def setting_names(model=Settings):
    """Every key of a stack's configuration, and of the sections in it."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for one in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if hasattr(one, "model_fields"):
                names |= setting_names(one)
    return names


# ---- the runbooks and the alarms --------------------------------------------------------------


def test_each_alarm_has_a_runbook_and_each_runbook_but_the_procedures_an_alarm(alarms):
    wanted = {front_matter(path)["alarm"].replace("<stack>", "prod") for path in ALARMED}
    assert wanted == set(alarms)


def test_each_procedure_is_followed_by_a_test():
    followed = (ROOT / "tests" / "engine" / "test_runbooks.py").read_text()
    assert PROCEDURES
    assert [path.stem for path in PROCEDURES if f'follow("{path.stem}"' not in followed] == []


def test_each_alarm_leads_to_its_own_runbook(alarms):
    for name, one in alarms.items():
        address = one.inputs["tags"]["runbook"]
        assert address.endswith(f"/runbooks/{name.removeprefix(f'{STACK}-')}.md")


@each_alarmed
def test_a_runbook_begins_with_what_its_alarm_says(path, alarms):
    inputs = alarms[f"{STACK}-{path.stem}"].inputs
    told = inputs.get("alarmDescription") or inputs.get("description")
    if told is not None:  # a budget's mail cannot be worded
        assert first_line(path) == told.partition(" What to do: ")[0]


def test_the_budget_is_told_of_at_what_its_runbook_says(alarms):
    notified = {
        one["notificationType"]: one["threshold"]
        for one in alarms[f"{STACK}-budget"].inputs["notifications"]
    }
    assert notified == {"ACTUAL": 80, "FORECASTED": 100}
    assert "above 80 % of the budget, or will be above all" in first_line(BUDGET)


def test_the_readme_lists_each_runbook_with_its_first_line_and_time():
    rows = re.findall(
        r"^\| \[([\w-]+)\]\(([\w-]+)\.md\) \| (.+) \| (\d+) \|$", README.read_text(), re.MULTILINE
    )
    listed = {stem: (stem, title, f"{minutes} min") for stem, _, title, minutes in rows}
    assert [stem for stem, link, *_ in rows if stem != link] == []
    assert listed == {
        path.stem: (path.stem, first_line(path), front_matter(path)["time_budget"])
        for path in RUNBOOKS
    }


# ---- the form of one --------------------------------------------------------------------------


@each_runbook
def test_the_front_matter_is_whole(path):
    found = front_matter(path)
    assert list(found) == ["id", "alarm", "time_budget", "risk", "rollback", "last_drilled"]
    assert found["id"] == path.stem
    wanted = "none" if path in PROCEDURES else f"<stack>-retainwise-{path.stem}"
    assert found["alarm"] == wanted
    assert re.fullmatch(r"\d+ min", found["time_budget"])
    assert re.match(r"(low|medium|high); ", found["risk"])
    assert found["rollback"]
    assert re.fullmatch(r"never|\d{4}-\d\d-\d\d", str(found["last_drilled"]))


@each_runbook
def test_the_six_sections_stand_in_order_and_say_something(path):
    found = sections(path)
    assert list(found) == SECTIONS
    assert [title for title, text in found.items() if not text.strip()] == []


@each_text
def test_nothing_is_left_to_be_written(path):
    assert re.findall(r"\b(TODO|TBD|FIXME|XXX)\b", path.read_text()) == []


@each_text
def test_each_command_is_followed_by_what_to_expect(path):
    text = path.read_text()
    for block in re.finditer(r"^( *)```bash\n.*?^\1```\n", text, re.MULTILINE | re.DOTALL):
        following = text[block.end() :].lstrip().partition("\n")[0]
        said = following and not re.match(r"#|```bash|\d+\. ", following)
        assert said, f"nothing after:\n{block[0]}"


@pytest.mark.parametrize("paths", [ALARMED, PROCEDURES], ids=["alarms", "procedures"])
def test_the_first_block_is_the_same_everywhere(paths):
    first = {path.stem: bash_blocks(path.read_text())[0] for path in paths}
    assert len(set(first.values())) == 1, first
    assert "export STACK=prod" in first[paths[0].stem]


# ---- the commands -----------------------------------------------------------------------------


@each_text
def test_bash_understands_each_block(path):
    for block in bash_blocks(path.read_text()):
        read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, ""), block


@each_text
def test_pasted_in_order_the_blocks_need_nothing_that_they_do_not_set(path, pasted):
    assert pasted(path).complaints == ""
    assert pasted(path).calls


@each_text
def test_each_aws_command_exists_with_its_options_and_answer(path, pasted):
    asked = [call[1:] for call in pasted(path).calls if call[0] == "aws"]
    assert asked or path in PROCEDURES  # those may do with our own
    wrong = [
        (arguments, found) for arguments in asked if (found := aws_commands.wrong_with(arguments))
    ]
    assert wrong == []


@each_text
def test_every_aws_command_that_is_written_was_pasted(path, pasted):
    """A loop that nothing runs through would hide its command from the tests above."""
    written = re.findall(r"\baws ([a-z0-9-]+ [a-z0-9-]+)", "".join(bash_blocks(path.read_text())))
    ran = {" ".join(call[1:3]) for call in pasted(path).calls if call[0] == "aws"}
    assert set(written) <= ran


@each_text
def test_what_a_command_names_is_declared(path, pasted, prod, bootstrapped):
    texts = [*prod.text_of.values(), *bootstrapped.text_of.values()]
    declared = {name for text in texts for name in re.findall(r'"([\w.-]+)"', text)}
    named = {
        name
        for call in pasted(path).calls
        for argument in call
        for name in re.findall(rf"\b{STACK}[a-z0-9-]*", argument)
    }
    assert named or path in PROCEDURES
    assert named - declared - {f"{STACK}-"} == set()  # the last one: what all alarms start with


@each_text
def test_the_log_events_and_settings_that_are_named_exist(path):
    text = path.read_text()
    events = set(re.findall(r'\$\.event = "(\w+)"', text))
    assert events <= log_events()
    metrics = set(re.findall(r"\$\.([A-Z]\w+) ", text))
    assert metrics <= {one.name for carried in CARRIED.values() for one in carried}
    in_words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    assert in_words <= log_events() | setting_names()


@each_runbook
def test_what_undo_puts_back_is_what_is_declared(path, prod):
    declared = {
        one.inputs["resourceId"].rpartition("/")[2]: (
            str(one.inputs["minCapacity"]),
            str(one.inputs["maxCapacity"]),
        )
        for one in prod.all_of("Target").values()
    }
    for block in bash_blocks(sections(path)["Undo"]):
        for service, least, most in re.findall(
            r'register-scalable-target.*?\$NAME-(\w+)".*?'
            r"--min-capacity (\d+) --max-capacity (\d+)",
            block,
            re.DOTALL,
        ):
            assert (least, most) == declared[f"{STACK}-{service}"]


@each_text
def test_the_other_programs_are_asked_for_what_they_have(path, pasted):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, *arguments in pasted(path).calls:
        match program:
            case "make":
                assert set(arguments) <= targets
            case "retainwise":
                assert arguments[0] in COMMANDS
                command = main
                while isinstance(command, click.Group):
                    name, command, arguments = command.resolve_command(
                        click.Context(command), arguments
                    )
                command.make_context(name, arguments)
            case "curl":
                assert arguments[-1].endswith(("/healthz", "/readyz"))
            case "pulumi":
                asked = {one for one in arguments if one.startswith("--")}
                assert asked <= PULUMI[arguments[0]]
    for program, known in (("retainwise", COMMANDS), ("pulumi", PULUMI)):
        named = re.findall(rf"\b{program} ([a-z]+)\b", path.read_text())
        assert set(named) <= set(known)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("squs list-queues", "no such command"),
        ("sqs redrive", "no such command"),
        ("ecs wait services-happy --cluster c --services s", "no such command"),
        ("sqs get-queue-url --name q", "no option --name"),
        ("sqs get-queue-url", "--queue-name is missing"),
        ("sqs get-queue-url --queue-name q --max-items 3", "no option --max-items"),
        ("ecs list-tasks --desired-status DEAD", "--desired-status DEAD"),
        ("ecs update-service --service s --desired-count many", "--desired-count many"),
        ("sqs get-queue-attributes --queue-url u --attribute-names Age", "--attribute-names Age"),
        ("ecs list-tasks --output csv", "--output csv"),
        ("ecs describe-services --services s --query services[].wanted", "--query services[]"),
        ("logs tail group --until 5m", "no option --until"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command, found):
    assert any(found in one for one in aws_commands.wrong_with(command.split()))


@pytest.mark.parametrize("block", ['echo "$NEVER_SET"', "jq . file", "rm -r folder"])
def test_a_block_that_cannot_be_pasted_is_found(block, tmp_path):
    assert paste([block], tmp_path).complaints != ""
