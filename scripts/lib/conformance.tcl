# Runs one file of Redis's own test suite against a server that runs already, and tells what becomes of each test.
#
#   cd <Redis's source tree>; tclsh conformance.tcl PORT FILE HOST [skipped test ...]       FILE as unit/type/string
#
# HOST is `external`, or `own`: then the tests that the suite keeps for servers it has started itself are carried out as well. That
# is for files whose tests need no more of a server of their own than its settings.
#
# Prints a line for each thing that happens: `testing`, `ok`, `err`, `skip`, `ignore`, `note` or `done`, then the test's name,
# then what there is to say, with tabs between; backslash, tab and line end inside of a field are written \\ \t \n.
#
# The suite's own procedures are used as they are, but for seven; four so that one failure hides nothing:
# - what it tells its own overseer is printed here;
# - a block of code (`start_server`, `tags`, a file) is carried out command by command, and an error between two tests is told
#   as a failure named after the command;
# - after a failed test the connection is a new one if the old one is in the middle of a reply;
# - `start_server`, which for a server from outside only flushes and sets what the block wants, does not insist on FUNCTION
#   and on each setting: what the server does not take is a note; and it sets back whatever the block has left set;
# - `assert_encoding` knows what 7.2 says of short lists;
# - `r debug replybuffer resizing` is not sent: it keeps Redis from making reply buffers smaller, and other servers need none.

set port [lindex $argv 0]
set unit [lindex $argv 1]
set is_own [expr {[lindex $argv 2] eq "own"}]
set skipped [lrange $argv 3 end]

fconfigure stdout -buffering line -encoding binary
set argv [list --host 127.0.0.1 --port $port --durable --tags -needs:repl]
foreach name $skipped {
    lappend argv --skiptest $name
}

# All of the suite's helper but its last command, which would start its own overseer and clients.
set helper [open tests/test_helper.tcl]
set text [read $helper]
close $helper
set end [string last "\nif {\$::client} \{" $text]
if {$end < 0} {
    puts stderr "tests/test_helper.tcl is not as it is known"
    exit 2
}
# Valkey's suite will not begin without its own binaries.
eval [string map {"source tests/support/set_executable_path.tcl\n" ""} [string range $text 0 $end]]
set ::test_server_fd none
# Valkey's suite has its client under another name.
if {[info procs ::redis] eq ""} {
    interp alias {} ::redis {} ::valkey
}
# Numbers as short as they can be told apart, as Redis prints them since 7.2.
set ::tcl_precision 0

proc told {kind name text} {
    set escapes [list "\\" "\\\\" "\t" "\\t" "\n" "\\n"]
    puts "$kind\t[string map $escapes $name]\t[string map $escapes $text]"
}

proc send_data_packet {fd status data {elapsed 0}} {
    switch $status {
        testing - skip {told $status $data ""}
        ok {told ok $data "$elapsed ms"}
        ignore {
            if {![regexp {^(.*): ((Tag: |Not supported|large memory).*)$} $data -> name why]} {
                set name ""
                set why $data
            }
            told ignore $name $why
        }
        err {
            # The test's name and file, the message without the ten letters of "assertion:", and for what is no assertion all of it.
            set name $::cur_test
            set inside [string last " in $::curfile" $name]
            if {$inside >= 0} {
                set name [string range $name 0 $inside-1]
            }
            set lines [split $data "\n"]
            if {[lindex $lines 0] eq "$name in $::curfile"} {
                set lines [lrange $lines [expr {[string match "*while executing*" $data] ? 2 : 1}] end]
            }
            told err $name [join $lines "\n"]
            into_step
            catch {r debug set-active-expire 1}
        }
        default {}
    }
}

# A new connection, unless the old one answers to what it is asked. What the tests outside of it chose (RESP3) is kept if it can be.
proc into_step {} {
    catch {r readraw 0}
    catch {r deferred 0}
    if {[catch {r echo in-step} answer] || $answer ne "in-step"} {
        catch {reconnect}
    }
    # A test that failed may have left clients waiting, which those after it would count.
    catch {
        foreach client [split [r client list] "\n"] {
            if {[regexp {^id=(\d+) .* flags=b } $client -> id]} {
                r client unblock $id
            }
        }
    }
}

# Carries out a script one command after another, `level` frames up.
proc each_command {level code} {
    set command ""
    foreach line [split $code "\n"] {
        append command $line "\n"
        if {![info complete $command]} continue
        if {[catch {uplevel $level $command} message options] == 1} {
            set first [lindex [split [string trim $command] "\n"] 0]
            told err "(between tests) [string range $first 0 70]" "$message\n[dict get $options -errorinfo]"
            into_step
        }
        set command ""
    }
}

proc tags {tags code} {
    set tags [string map { \" "" } $tags]
    set before $::tags
    set ::tags [concat $::tags $tags]
    if {[tags_acceptable $::tags why]} {
        each_command 2 $code
    } else {
        told ignore "" $why
    }
    set ::tags $before
}

if {$is_own} {
    rename tags_acceptable suite_tags_acceptable
    proc tags_acceptable {tags why} {
        upvar $why text
        suite_tags_acceptable [lsearch -all -inline -not -exact $tags external:skip] text
    }
}

proc run_external_server_test {code overrides} {
    # Set before the block's client comes, which is then met by what is set: a password, say.
    set setter [redis $::host $::port 0 $::tls]
    $setter flushall
    catch {$setter function flush}
    set before [$setter config get *]
    foreach {name value} $overrides {
        if {[catch {$setter config set $name $value} message]} {
            told note "" "$name $value: $message"
        }
    }
    regexp {process_id:(\d+)} [$setter info server] -> pid
    $setter close
    set client [redis $::host $::port 0 $::tls]
    catch {$client select 9}
    set config [dict create port $::port]
    lappend ::servers [dict create host $::host port $::port client $client config $config pid $pid]
    each_command 3 $code
    into_step
    set after [r config get *]
    foreach {name value} $before {
        if {[dict get $after $name] ne $value} {
            catch {r config set $name $value}
        }
    }
    catch {[srv client] close}
    set ::servers [lrange $::servers 0 end-1]
}

rename r suite_r
proc r {args} {
    if {[lrange $args 0 2] ne "debug replybuffer resizing"} {
        uplevel 1 suite_r $args
    }
}

# Since 7.2 a short list says that it is a listpack, where this suite knows quicklists only.
rename assert_encoding suite_assert_encoding
proc assert_encoding {encoding key} {
    if {$encoding ne "quicklist" || [r object encoding $key] ne "listpack"} {
        suite_assert_encoding $encoding $key
    }
}

set ::curfile "tests/$unit.tcl"
set file [open $::curfile]
set code [read $file]
close $file
each_command #0 $code
told done $unit ""
