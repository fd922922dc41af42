"""Track finding by a server, as an algorithm of ACTS: spacepoints from the whiteboard, proto-tracks back.

    from exatrkx_acts.finding import ServedTrackFinding

    with TrackingClient("127.0.0.1:8001") as client:
        sequencer.addAlgorithm(ServedTrackFinding(client, inputSpacePoints="spacepoints", outputProtoTracks="found"))
        sequencer.run()

`python -m exatrkx_acts --help` is an example of a whole chain. The way of an event there: `exatrkx.simulation` makes
it, `finding` asks the server, `proto_tracks` orders the answer, `fitting` is ACTS's Kalman filter, `performance` what
ACTS makes of the tracks; `chain` joins them, `report`, `tables` and `plots` show them. Needs pyacts, and no torch
unless the direct pipeline takes a server's place.

Source: ACTS (arXiv:2106.13593).
"""
