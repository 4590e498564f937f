import streamlit as st

from tfsss.ui import frame

frame.title('home')
