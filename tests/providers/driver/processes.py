"""Child processes that end with the driver, with their output in a file for whoever wonders why."""

import http.client
import socket
import subprocess
import time

PATIENCE = 60


class Child:
    """A program that is ours: started, watched and ended by its own id."""

    def __init__(self, command, log, environment=None, folder=None):
        self.log = log
        self.output = open(log, 'ab')
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )

    def wait_for(self, port, path, status=(200,)):
        """Until it answers there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f'it ended with {self.process.returncode}:\n{self.tail()}')
            if get_status(port, path) in status:
                return
            time.sleep(0.1)
        raise AssertionError(f'it does not answer on {path} after {PATIENCE} s:\n{self.tail()}')

    def tail(self):
        with open(self.log, 'rb') as file:
            return file.read()[-3000:].decode('utf-8', 'replace')

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()


def get_status(port, path):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
    try:
        connection.request('GET', path, headers={'Host': f'localhost:{port}'})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]
