#!/bin/sh
# Makes the attempt once, reads what psql, its session and the server's log say of it, and compares that with the prediction. Ends with 0 if it is as
# predicted, with 1 if not, with 2 if it could not be tried.
set -u
. /pack/client/profile
log=/made/log/server.log
size=$(wc -c <$log)
sh /pack/client/psql.sh -q -A -x -t -P null= -c '\echo a session' -c "$(cat /pack/client/session.sql)" >/tmp/out 2>/tmp/err
status=$?
if [ $status != 2 ] && ! grep -q '^a session$' /tmp/out; then # psql's own word for a connection that could not be made
    echo "psql could not make the attempt (status $status):" >&2
    cat /tmp/err >&2
    exit 2
fi

# The server has logged all of a connection once its postmaster has logged the end of the process.
logged() { tail -c +$((size + 1)) $log; }
processes() { logged | awk -F'|' '/\|LOG:  connection received: / { print $2 }'; }
for process in $(processes); do
    tries=0
    until logged | grep -q "(PID $process) exited"; do
        [ $((tries += 1)) -lt 300 ] || { echo "the server has not logged the end of its process $process" >&2; exit 2; }
        sleep 0.1
    done
done
last=$(processes | tail -n 1)
# The messages of the last connection: "SQLSTATE SEVERITY:  TEXT", without those for debugging.
logged | awk -F'|' -v process="$last" '
    /^[0-9.]+\|[0-9]+\|/ { mine = process != "" && $2 == process && $0 !~ /\|DEBUG/; if (mine) { state = $4; sub(/^[^|]*\|[^|]*\|[^|]*\|[^|]*\|/, ""); print state " " $0 } next }
    mine { print "      " $0 }' >/tmp/log

end=refused channel= role= method= identity= rule=
if grep -q '^a session$' /tmp/out; then
    end=connected
    column() { sed -n "s/^$1|//p" /tmp/out; }
    role=$(column session_user) channel=plain
    [ "$(column ssl)" != true ] || channel=tls
    [ "$(column gss_encrypted)" != true ] || channel=gss
    method=trust # from 14 on, every other method is logged
fi
authenticated=$(sed -n 's/^[0-9A-Z]* LOG:  connection authenticated: //p' /tmp/log | tail -n 1)
if [ "$authenticated" ]; then
    identity=$(printf '%s\n' "$authenticated" | sed -n 's/^identity="\(.*\)" method=.*/\1/p')
    method=$(printf '%s\n' "$authenticated" | sed -n 's/.*" method=\([^ ]*\) (.*/\1/p')
    rule=$(printf '%s\n' "$authenticated" | sed -n 's,.* (/pgam/conf/\(.*:[0-9]*\))$,\1,p')
fi
matched=$(sed -n 's,.*Connection matched file "/pgam/conf/\(.*\)" line \([0-9]*\): .*,\1:\2,p; s,.*Connection matched \(pg_hba.conf\) line \([0-9]*\): .*,\1:\2,p' /tmp/log | tail -n 1)
[ "$end" = connected ] || rule=${matched:-$rule}

# What is said of a refusal, a line each, as /pack/expected/*-words match it.
sed -e 's/^\([^ ]*\/\)\{0,1\}psql: \(error: \)\{0,1\}//' -e 's/^connection to server at "[^"]*"\( ([^)]*)\)\{0,1\}, port [0-9]* failed: *//' -e 's/^connection to server on socket "[^"]*" failed: *//' /tmp/err >/tmp/client-lines
sed -n 's/^SSL error: //p' /tmp/client-lines >>/tmp/client-lines.more; cat /tmp/client-lines.more >>/tmp/client-lines
sed -e 's/^[0-9A-Z]* *[A-Z]*:  *//' -e 's/^ *//' /tmp/log >/tmp/server-lines
sed -n 's/^\([0-9A-Z]*\) FATAL:  /\1 /p' /tmp/log >>/tmp/server-lines
sed -n 's/.*could not accept SSL connection: //p' /tmp/log >>/tmp/server-lines
words() { # client | server
    [ -s /pack/expected/$1-words ] && grep -P -q -e "$(paste -s -d'|' /pack/expected/$1-words)" /tmp/$1-lines
}
reason='not as predicted'
if [ "$end" = refused ] && { words client || words server; }; then reason=$(sed -n 's/^reason //p' /pack/expected/outcome); fi

differs=
printf '%-10s %-40s %s\n' '' predicted observed
while IFS= read -r line; do
    field=${line%% *} predicted=${line#* }
    eval "observed=\$$field"
    printf '%-10s %-40s %s\n' "$field" "$predicted" "$observed"
    [ "$predicted" = "$observed" ] || differs="$differs $field"
done </pack/expected/outcome
echo
echo 'psql says:'
sed 's/^/  /' /tmp/err
sed 's/^/  /' /tmp/out
echo "the server's log says of $([ "$last" ] && echo 'the last connection' || echo 'no connection'):"
sed 's/^/  /' /tmp/log
echo
{{if ne .Load "restart"}}pg_isready -q -t 60 -h {{.Host}} || { echo 'the server takes no connections: what is above says nothing about the cell' >&2; exit 2; }
{{end}}if [ "$differs" ]; then
    echo "DIFFERS from the prediction:$differs"
    exit 1
fi
echo 'AGREES with the prediction'
