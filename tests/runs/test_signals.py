"""Signals are noted, not died from; exit statuses are what schedulers expect."""

import os
import signal
import threading

import pytest

from micromega.runs.signals import InterruptedBySignalError, StopRequest

ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@pytest.mark.parametrize("number", ALL)
def test_a_signal_is_noted_and_handlers_come_back(number):
    before = [signal.getsignal(item) for item in ALL]
    with StopRequest().listening() as request:
        assert request.number is None
        os.kill(os.getpid(), number)
        assert request.number == number
    assert [signal.getsignal(item) for item in ALL] == before


def test_a_second_ctrl_c_interrupts_at_once():
    with StopRequest().listening() as request:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert request.number == signal.SIGINT


def test_listening_again_takes_over_from_another_handler():
    with StopRequest().listening() as request:
        signal.signal(signal.SIGTERM, lambda *_: pytest.fail("the other handler was called"))
        request.listen_again()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.number == signal.SIGTERM
    before = signal.getsignal(signal.SIGTERM)
    request.listen_again()
    assert signal.getsignal(signal.SIGTERM) == before


def test_under_slurm_its_warning_signal_is_heard_too(monkeypatch):
    # Lightning would save in its handler, in the middle of a step, where the resumed run does not look.
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with StopRequest().listening() as request:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert request.number == signal.SIGUSR1


def test_threads_have_no_handlers():
    results = []

    def run():
        with StopRequest().listening() as request:
            results.append(request.number)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == [None]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)])
def test_exit_status_and_words(number, status):
    error = InterruptedBySignalError(number, "x.ckpt")
    assert error.exit_status == status
    assert str(error) == f"Stopped by {signal.Signals(number).name}. Saved x.ckpt. The same command resumes the run."
