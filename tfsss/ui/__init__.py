"""The only package that imports streamlit. Importing it sets what must be set before torch and before the first page.

Streamlit takes a folder called `pages/` for its own list of pages until `st.navigation` has run once in the server. If
the first visitor comes by a link to a page, it would run that page's script without `app.py`; `frame.title` notices
and runs again.
"""

import os

from streamlit.runtime.pages_manager import PagesManager

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tfsss/ui/start.py says why
PagesManager.uses_pages_directory = False
