"""`resources.share_gpus` on the command line: measured before a sweep begins, and told."""

import typer

from sweeps import gpu_sharing
from sweeps.cli_options import REFUSED, leave
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder


def with_shares(sweep: Sweep, folder: SweepFolder) -> tuple[Sweep, gpu_sharing.Rates]:
    """The sweep with each worker's share of a GPU, measured if it asks for that."""

    def measure(asking: Sweep) -> gpu_sharing.Rates:
        from sweeps.launch import measure_sharing

        typer.echo("measuring how many trials at a time a GPU trains fastest", err=True)
        rates = measure_sharing(asking)
        typer.echo(gpu_sharing.in_words(rates), err=True)
        return rates

    try:
        return gpu_sharing.settle(sweep, folder, measure)
    except (ValueError, RuntimeError) as error:  # of Ray, too, which only `measure` imports
        leave(REFUSED, str(error))
