import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the module tiny_market, shared by the tests of this folder
