"""Hosted notebooks: a box for each analyst with a Jupyter server in it, that holds no data and reaches
nothing but the gateway.

    places   where things are inside a box           walls   what a box may see, use and call
    inside   the program that runs in a box          room    one analyst's box, while it runs
    rooms    all of them: start, watch, stop
"""
