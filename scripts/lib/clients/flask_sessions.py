"""A Flask application with server-side sessions in Redis (Flask-Session), asked over HTTP by several browsers at once."""

import http.cookiejar
import importlib.metadata
import json
import logging
import threading
import urllib.request

import flask
import redis
from flask_session import Session
from werkzeug.serving import make_server

import check
from check import eventually, options, port, same, true

r = redis.Redis(port=port, **options)
app = flask.Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=port, **options), PERMANENT_SESSION_LIFETIME=1000)
Session(app)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@app.post("/add/<item>")
def add(item):
    flask.session.setdefault("basket", []).append(item)
    flask.session.modified = True
    return flask.jsonify(flask.session["basket"])


@app.get("/basket")
def basket():
    return flask.jsonify(flask.session.get("basket"))


@app.post("/blob")
def blob():
    flask.session["blob"] = flask.request.get_data()
    return str(len(flask.session["blob"]))


@app.get("/blob")
def blob_again():
    return flask.Response(flask.session["blob"], mimetype="application/octet-stream")


@app.post("/login")
def login():
    flask.session["user"] = "sailor"
    app.session_interface.regenerate(flask.session)
    return "welcome"


@app.get("/me")
def me():
    return flask.session.get("user", "nobody")


@app.post("/logout")
def logout():
    flask.session.clear()
    return "bye"


class Browser:
    """A visitor with cookies of its own."""

    def __init__(self):
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, page):
        return self.opener.open(f"http://127.0.0.1:{server.port}{page}", timeout=20).read()

    def post(self, page, data=b""):
        return self.opener.open(f"http://127.0.0.1:{server.port}{page}", data=data, timeout=20).read()

    def key(self):
        """The Redis key of its session."""
        return "session:" + next(cookie.value for cookie in self.cookies if cookie.name == "session")


server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

one, two = Browser(), Browser()
same(json.loads(one.get("/basket")), None, "a basket of nobody")
same([json.loads(one.post("/add/tea")), json.loads(one.post("/add/milk"))], [["tea"], ["tea", "milk"]], "two things in a basket")
same(json.loads(two.post("/add/rum")), ["rum"], "another's basket")
same([json.loads(one.get("/basket")), json.loads(two.get("/basket"))], [["tea", "milk"], ["rum"]], "each keeps its own")
same(len(r.keys("session:*")), 2, "two sessions")
true(900 < r.ttl(one.key()) <= 1000, "a session's time to live")
r.expire(one.key(), 10)
one.post("/add/jam")
true(900 < r.ttl(one.key()) <= 1000, "which each change renews")

payload = bytes(range(256)) * (3 << 12)
same(int(one.post("/blob", payload)), len(payload), "3 MiB in a session")
true(one.get("/blob") == payload, "come back")
true(r.strlen(one.key()) >= len(payload), "from the server")

before = one.key()
same([one.post("/login"), one.get("/me"), two.get("/me")], [b"welcome", b"sailor", b"nobody"], "a login")
same([one.key() != before, r.exists(before)], [True, 0], "gives the session a new name, and the old one is gone")
same(json.loads(one.get("/basket")), ["tea", "milk", "jam"], "with all that was in it")
r.delete(two.key())
same(json.loads(two.get("/basket")), None, "a session that was deleted is empty")
r.pexpire(one.key(), 50)
eventually(lambda: r.exists(one.key()), 0, "a session that is due is gone")
same(one.get("/me"), b"nobody", "and its visitor is nobody")
three = Browser()
same([three.post("/login"), three.post("/logout"), three.get("/me")], [b"welcome", b"bye", b"nobody"], "a logout")
eventually(lambda: r.keys("session:*"), [], "which removes the session")

# Ten browsers at once, while the application's connections are killed under them: once, as redis-py does not survive that one
# is killed at once after it has been made anew.
visitors = [Browser() for _ in range(10)]
baskets = {}


def shop(visitor):
    for item in range(20):
        baskets[visitor] = json.loads(visitor.post(f"/add/{item}"))


threads = [threading.Thread(target=shop, args=[visitor]) for visitor in visitors]
for thread in threads:
    thread.start()
eventually(lambda: len(baskets), 10, "all have begun")
true(r.client_kill_filter(_type="normal", skipme=True) >= 1, "CLIENT KILL of the application's connections")
for thread in threads:
    thread.join()
same([baskets[visitor] for visitor in visitors], [[str(item) for item in range(20)]] * 10, "ten baskets of ten browsers")
server.shutdown()

versions = [importlib.metadata.version(name) for name in ("flask", "flask-session", "redis")]
check.done("Flask {}'s sessions, with Flask-Session {} and redis-py {}".format(*versions))
