"""A Django project: its cache framework with the Redis backend, and on that sessions, cached pages and cached fragments."""

import asyncio
import sys
import time

import django
import redis
from django.conf import settings

import check
from check import eventually, fails, port, same, true, url

backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
settings.configure(
    ALLOWED_HOSTS=["testserver"],
    CACHES={
        "default": backend,
        "brief": {**backend, "TIMEOUT": 1, "KEY_PREFIX": "brief"},
        "second": {**backend, "VERSION": 2, "KEY_PREFIX": "site", "OPTIONS": {"db": 1}},
    },
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF="__main__",
    SECRET_KEY="a key for a test",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

from django.core.cache import cache, caches  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402

r = redis.Redis(port=port)
rendered = []


def visit(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    request.session["basket"] = request.session.get("basket", []) + [request.GET.get("item")]
    return JsonResponse({"visits": request.session["visits"], "basket": request.session["basket"]})


def leave(request):
    request.session.flush()
    return HttpResponse("bye")


@cache_page(60)
def page(request):
    rendered.append(request.path)
    return HttpResponse("a page, " * 100_000)


urlpatterns = [path("visit", visit), path("leave", leave), path("page", page)]

# Values of all kinds, and how long they are kept.
same([cache.get("none"), cache.get("none", 7), cache.has_key("none")], [None, 7, False], "get of nothing")
for value in (
    1,
    -(2**62),
    2**80,
    1.5,
    True,
    None,
    "text, \u00e4\u6f22",
    b"\x00\xff\r\n",
    [1, {"a": (2, 3)}],
    {"nested": {"set": {1, 2}}},
):
    cache.set("value", value)
    same([cache.get("value", "nothing"), "value" in cache], [value, True], f"set and get of {value!r}")
large = {"rows": [list(range(1000)) for _ in range(300)], "bytes": bytes(range(256)) * (8 << 10)}
cache.set("large", large)
true(cache.get("large") == large, "set and get of some MiB")
true(250 < r.ttl(cache.make_key("value")) <= 300, "the default time-out of five minutes")
cache.set("ever", 1, timeout=None)
same(r.ttl(cache.make_key("ever")), -1, "no time-out")
cache.set("gone", 1, timeout=0)
same("gone" in cache, False, "a time-out of nothing")
cache.set("short", 1, timeout=1)
true(0 < r.pttl(cache.make_key("short")) <= 1000, "a time-out of a second")
eventually(lambda: cache.get("short", "gone"), "gone", "what is due is gone")

# add, touch, incr, get_or_set, delete.
same([cache.add("new", "first"), cache.add("new", "second"), cache.get("new")], [True, False, "first"], "add")
same(
    [cache.touch("new", 1000), 900 < r.ttl(cache.make_key("new")) <= 1000, cache.touch("none", 10)], [True, True, False], "touch"
)
same([cache.touch("new", None), r.ttl(cache.make_key("new"))], [True, -1], "touch without a time-out")
cache.set("n", 40, timeout=77)
same([cache.incr("n"), cache.incr("n", 10), cache.decr("n", 9), cache.get("n")], [41, 51, 42, 42], "incr, decr")
true(0 < r.ttl(cache.make_key("n")) <= 77, "incr keeps the time-out")
fails(lambda: cache.incr("none"), ValueError, "not found", "incr of nothing")
cache.set("word", "text")
fails(lambda: cache.incr("word"), redis.ResponseError, "not an integer", "incr of a text")
same([cache.get_or_set("made", lambda: "made once"), cache.get_or_set("made", "again")], ["made once"] * 2, "get_or_set")
same([cache.delete("made"), cache.delete("made"), cache.add("made", 2)], [True, False, True], "delete")

# Many at once.
everything = {f"many:{number}": {"number": number, "bytes": bytes(number % 256)} for number in range(2000)}
same(cache.set_many(everything, timeout=100), [], "set_many")
true(cache.get_many([*everything, "none"]) == everything, "get_many")
true(0 < r.ttl(cache.make_key("many:7")) <= 100, "set_many's time-out")
cache.delete_many(["many:0", "many:1", "none"])
same(len(cache.get_many(everything)), 1998, "delete_many")

# Versions, prefixes, databases.
cache.set("v", "one")
cache.set("v", "two", version=2)
same(
    [cache.get("v"), cache.get("v", version=2), cache.incr_version("word"), cache.get("word")],
    ["one", "two", 2, None],
    "versions",
)
same(
    [cache.get("word", version=2), cache.decr_version("word", version=2), cache.get("word")], ["text", 1, "text"], "decr_version"
)
fails(lambda: cache.incr_version("none"), ValueError, "not found", "incr_version of nothing")
second, brief = caches["second"], caches["brief"]
second.set("v", "second")
same([second.get("v"), cache.get("v"), redis.Redis(port=port, db=1).keys()], ["second", "one", [b"site:2:v"]], "another database")
brief.set("v", "brief")
same(brief.get("v"), "brief", "a prefix")
eventually(lambda: brief.get("v"), None, "a cache with a time-out of its own")
second.clear()
same([second.get("v"), cache.get("v")], [None, "one"], "clear empties one database")


# The asynchronous half of the interface.
async def asynchronously():
    await cache.aset("a", 1)
    same(
        [await cache.aget("a"), await cache.aincr("a"), await cache.aadd("a", 9), await cache.adelete("a")],
        [1, 2, False, True],
        "aset, aget",
    )
    await cache.aset_many({"b": 1, "c": 2})
    same(await cache.aget_many(["b", "c", "none"]), {"b": 1, "c": 2}, "aset_many, aget_many")


asyncio.run(asynchronously())

# Sessions.
one, two = Client(), Client()
same(one.get("/visit?item=tea").json(), {"visits": 1, "basket": ["tea"]}, "a first visit")
same(one.get("/visit?item=milk").json(), {"visits": 2, "basket": ["tea", "milk"]}, "a second one")
same(two.get("/visit?item=rum").json(), {"visits": 1, "basket": ["rum"]}, "a visit of another")
session = next(key for key in r.keys("*django.contrib.sessions.cache*"))
true(1_200_000 < r.ttl(session) <= 1_209_600, "a session is kept for two weeks")
same(
    [one.get("/leave").content, one.get("/visit?item=jam").json()],
    [b"bye", {"visits": 1, "basket": ["jam"]}],
    "a session that ends",
)
r.delete(*r.keys("*django.contrib.sessions.cache*"))
same(two.get("/visit?item=ale").json(), {"visits": 1, "basket": ["ale"]}, "a session that the server lost")

# Pages and fragments.
same(
    [len(one.get("/page").content), len(two.get("/page").content), rendered],
    [800_000, 800_000, ["/page"]],
    "a page is rendered once",
)
fragment = Template("{% load cache %}{% cache 60 side name %}{{ name }}, {{ calls }}{% endcache %}")
same(
    [fragment.render(Context({"name": name, "calls": call})) for call, name in enumerate(["a", "a", "b"])],
    ["a, 0", "a, 0", "b, 2"],
    "a fragment",
)

# A connection that is lost comes again.
time.sleep(0.01)
killed = r.client_kill_filter(_type="normal", skipme=True)
true(killed >= 1, "CLIENT KILL of Django's connections")
same(cache.get("v"), "one", "Django connects again")
cache.clear()
same(r.dbsize(), 0, "clear")

check.done(f"Django {django.__version__}'s cache, with redis-py {redis.__version__}")
sys.exit(0)
