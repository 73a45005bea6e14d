"""The signals that stop a process of ours cleanly."""

import signal


def stop_signals() -> list[signal.Signals]:
    """SIGTERM, SIGINT, and SIGHUP, as for Kafka's JVM: a terminal that closes is no reason for a recovery
    at the next start. If SIGHUP was ignored when this process began (nohup), it stays so, as in the
    JVM.
    """
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *(() if is_kept else (signal.SIGHUP,))]
