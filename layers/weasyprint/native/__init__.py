"""Builds the PDF layer on a Debian-like machine, without Docker and without root.

`lock` reads what was chosen, `apt` fetches exactly that, `elf` follows the libraries' needs, `gates` refuse what
would fail in Lambda, `python_part` adds the wheels, `tree` makes the result the same bytes each time, and `build`
orders it all. Standard library only; runs inside `sam build` and therefore imports nothing of the project.
"""
