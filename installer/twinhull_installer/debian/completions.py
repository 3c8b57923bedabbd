"""Completions for bash, zsh and fish, from a program's commands.

They are plain tables of words: pressing Tab runs none of our code, and starts no Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinhull_installer.debian.words import Command

_MADE = "# Made from the program's own commands; files and names of yours are left to the shell.\n"


def offered(command: Command, commands: Sequence[Command]) -> list[str]:
    """The words that may follow a command: commands below it, options, and arguments of a closed set."""
    depth = len(command.path)
    words = [
        other.path[depth]
        for other in commands
        if len(other.path) == depth + 1 and other.path[:depth] == command.path
    ]
    words += [choice for argument in command.arguments for choice in argument.choices]
    words += [name for option in command.options for name in option.names]
    return [*words, "--help"]


def bash(program: str, commands: Sequence[Command]) -> str:
    """For bash-completion's directory of completions."""
    cases = "".join(
        f"    '{' '.join(c.path)}') words='{' '.join(offered(c, commands))}' ;;\n" for c in commands
    )
    name = _function(program)
    return f"""{_MADE}
{name}() {{
  local path='' word known words='' index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${{COMP_WORDS[index]}}
    known="${{path:+$path }}$word"
    case "$known" in
{_known(commands, "      ", "path=$known")}    esac
  done
  case "$path" in
{cases}  esac
  word=${{COMP_WORDS[COMP_CWORD]}}
  while IFS= read -r known; do COMPREPLY+=("$known"); done < <(compgen -W "$words" -- "$word")
}}
complete -o default -F {name} {program}
"""


def zsh(program: str, commands: Sequence[Command]) -> str:
    """For a directory of zsh's fpath."""
    cases = "".join(
        f"    ('{' '.join(c.path)}') offered=({' '.join(_quoted(w) for w in offered(c, commands))}) ;;\n"
        for c in commands
    )
    return f"""#compdef {program}
{_MADE}
{_function(program)}() {{
  local known_path='' word known
  local -a offered
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    known="${{known_path:+$known_path }}$word"
    case "$known" in
{_known(commands, "      ", "known_path=$known", opening="(")}    esac
  done
  case "$known_path" in
{cases}  esac
  compadd -a offered
  _files
}}
{_function(program)} "$@"
"""


def fish(program: str, commands: Sequence[Command]) -> str:
    """For fish's directory of vendor completions."""
    name = _function(program)
    cases = "".join(
        f"        case {_quoted(' '.join(c.path))}\n            set path $known\n" for c in commands[1:]
    )
    lines = [
        _MADE,
        f"function {name}_path",
        "    set -l path ''",
        "    for word in (commandline -opc)[2..-1]",
        '        set -l known (string trim -- "$path $word")',
        '        switch "$known"',
        *("    " + line for line in cases.rstrip("\n").split("\n")),
        "        end",
        "    end",
        '    echo "$path"',
        "end",
    ]
    for command in commands:
        condition = f'test "$({name}_path)" = "{" ".join(command.path)}"'
        words = " ".join(offered(command, commands))
        lines.append(f"complete -c {program} -n '{condition}' -a '{words}'")
    return "\n".join(lines) + "\n"


def _function(program: str) -> str:
    return "_" + program.replace("-", "_")


def _known(commands: Sequence[Command], indent: str, then: str, opening: str = "") -> str:
    paths = "|".join(_quoted(" ".join(command.path)) for command in commands[1:])
    return f"{indent}{opening}{paths}) {then} ;;\n" if paths else ""


def _quoted(word: str) -> str:
    # No command or option has a quote in its name: tests/unit/test_package_words.py.
    return f"'{word}'"
