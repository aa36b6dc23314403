# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""See, hear and feel with PandaGPT in a browser.

```bash
pandagpt demo
pandagpt demo --model path/or/hub-id --imagebind path/or/hub-id
```

Only this machine reaches the page unless `--host` says otherwise, and nothing leaves it: no analytics, no fonts, no
public link. Uploads are the only files that it reads, and they are deleted after an hour.
"""

import os
import signal
import tempfile
from typing import Annotated, Any, Literal

import typer

from demo.chat import fail, load_named


# Sessions that the server remembers at most; the one that was silent the longest goes first.
MOST_SESSIONS = 200

TOY_WORLD = """\
A tiny model of a toy world: bells, birds, clocks, dogs, frogs, helicopters, rockets and trains, small or large, slow,
steady or fast."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    model: Annotated[str | None, typer.Option(help="Hub id or folder; the bundled tiny model when left out.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.")] = None,
    imagebind: Annotated[
        str | None, typer.Option(help="Hub id or folder of an ImageBind whose text encoder compares texts with media.")
    ] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="Type of the weights.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="Such as cpu or cuda:0; auto takes what there is.")] = "auto",
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The first free one from 7860 on when left out.")
    ] = None,
    max_file_size: Annotated[str, typer.Option(help="Largest upload.")] = "100mb",
) -> None:
    """Talk about pictures, videos, sounds and sensor readings in a browser."""
    # Read once, when Gradio is imported. The folder of uploads is ours alone and goes when the page does.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(2**62)  # no statistics with pandas after every event
    with tempfile.TemporaryDirectory(prefix="pandagpt-demo-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        try:
            import gradio
        except ImportError:
            fail('it needs Gradio: pip install "pandagpt[demo]"', "demo")
        from demo.page import CSS, build, theme

        page = build(_served(model, revision, imagebind, dtype, device))
        # Who ends the process ends the page as Ctrl-C does, and the uploads go.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                show_error=False,
                max_file_size=max_file_size,
                state_session_capacity=MOST_SESSIONS,
                footer_links=[],
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                theme=theme(),
                css=CSS,
            )
        except OSError as error:
            fail(f"--port {port} cannot be used on {host}: {str(error).split(':')[0]}", "demo")
    del gradio


def _served(model: str | None, revision: str | None, imagebind: str | None, dtype: str, device: str) -> Any:
    from demo.page import Served
    from demo.similarities import TextEncoder
    from demo.snippet import loading

    try:
        network, processor = load_named(model, revision, dtype, device)
    except ValueError as error:
        fail(str(error), "demo")
    encode_texts = None
    if imagebind is not None:
        try:
            encode_texts = TextEncoder(imagebind, network.config.imagebind_config.projection_dim)
        except (OSError, ValueError) as error:
            fail(f"--imagebind {imagebind}: {error}", "demo")
    name = f"`{model}`" if model else TOY_WORLD
    return Served(network, processor, name, loading(model, revision, dtype, device), encode_texts)


def main(argv: list[str] | None = None) -> None:
    """
    The command `pandagpt demo`.

    Args:
        argv (`list[str]`, *optional*):
            The arguments after `demo`; those of the process when `None`.
    """
    app(argv, prog_name="pandagpt demo")


if __name__ == "__main__":
    main()
