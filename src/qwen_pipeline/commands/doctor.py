"""`kedro doctor`: is this machine ready for a run with these parameters?"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@with_parameters
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a support report without secrets to FILE.",
)
@one_sentence
def doctor(env: str | None, params: dict[str, Any], as_json: bool, report: Path | None) -> None:
    """Check machine and project.

    One line for each check, with the command that helps.

    Example: kedro doctor --env qwen3_4b --report support.json
    """
    from qwen_pipeline.doctor.quantise_apart import QuantiseApart

    with QuantiseApart() as quantise:  # the slowest check by far: it works while everything else does
        root, groups = read_groups(env, params)

        from qwen_pipeline.doctor.examine import examine, exit_code
        from qwen_pipeline.doctor.finding import Finding, Inspection
        from qwen_pipeline.doctor.report import build_report, write_report

        inspection = Inspection(root, groups, quantise=quantise)
        findings: list[Finding] = []
        for finding in examine(inspection):
            findings.append(finding)
            if not as_json:
                _show(finding.state.value, finding.check, finding.fact, finding.remedy)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    if report is not None:
        write_report(report, build_report(inspection, findings))
        click.echo(
            f"The report is in {report}; secrets, user name and home folders are removed.", err=as_json
        )
    sys.exit(exit_code(findings))


def _show(state: str, check: str, fact: str, remedy: str) -> None:
    click.echo(f"{click.style(f'{state:8}', fg=COLOURS[state])}{check:12} {fact}")
    if remedy:
        click.echo(f"{'':20} → {remedy}")
