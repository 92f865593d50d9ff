"""What the commands that need JAX do, one file each: run, dry_run, show. They talk to the terminal."""
