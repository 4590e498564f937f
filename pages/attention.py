import streamlit as st

from tfsss.ui import frame

frame.title('attention')
