/*
 * The peer that wrap_test.go's vectors come from: initiator and acceptor of one Kerberos context in one process, with MIT
 * krb5's libgssapi. It prints the context's key and wrap tokens of both sides, then unwraps what it is given.
 *
 *	context ETYPE KEY              the key that both seal with: the acceptor's subkey
 *	token i|a CONF LENGTH TOKEN    wrapped by initiator or acceptor; the plaintext's octet n is n*7 + LENGTH
 *	given i|a TOKEN                (read) a token that initiator or acceptor could have made
 *	opened CONF PLAINTEXT          or: refused TEXT
 *
 * To make vectors anew, in a container with a KDC's programs, a C compiler and libkrb5-dev (see vectors.sh):
 *
 *	gcc -Wall -o vectors vectors.c -lgssapi_krb5
 *	go test ./gssenc -run TestVectors -peer "docker exec -i -e ETYPE CONTAINER sh /vectors/vectors.sh"
 */
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, OM_uint32 major, OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, more = 0;

	gss_display_status(&ignored, minor ? minor : major, minor ? GSS_C_MECH_CODE : GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &text);
	fprintf(stderr, "%s: %u: %.*s\n", what, major, (int)text.length, (char *)text.value);
	exit(1);
}

static void hex(const gss_buffer_t b)
{
	for (size_t i = 0; i < b->length; i++)
		printf("%02x", ((unsigned char *)b->value)[i]);
}

int main(int argc, char **argv)
{
	static const size_t lengths[] = {0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 100, 1000, 8192};
	static char line[1 << 18], raw[1 << 17];
	const OM_uint32 wanted = GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG | GSS_C_INTEG_FLAG;
	gss_ctx_id_t side[2] = {GSS_C_NO_CONTEXT, GSS_C_NO_CONTEXT};
	gss_buffer_desc name_text = {strlen(argv[argc - 1]), argv[argc - 1]}, to = GSS_C_EMPTY_BUFFER, from = GSS_C_EMPTY_BUFFER;
	gss_buffer_set_t keys;
	gss_name_t name;
	OM_uint32 major, minor;

	if ((major = gss_import_name(&minor, &name_text, GSS_C_NT_HOSTBASED_SERVICE, &name)))
		die("name", major, minor);
	do {
		major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &side[0], name, (gss_OID)gss_mech_krb5, wanted, 0,
			GSS_C_NO_CHANNEL_BINDINGS, &from, NULL, &to, NULL, NULL);
		if (GSS_ERROR(major))
			die("init", major, minor);
		if (to.length == 0)
			break;
		major = gss_accept_sec_context(&minor, &side[1], GSS_C_NO_CREDENTIAL, &to, GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &from,
			NULL, NULL, NULL);
		if (GSS_ERROR(major))
			die("accept", major, minor);
	} while (from.length);
	if ((major = gss_inquire_sec_context_by_oid(&minor, side[0], GSS_C_INQ_SSPI_SESSION_KEY, &keys)))
		die("key", major, minor);
	/* the second element is an OID whose last arc is the etype */
	printf("context %d ", ((unsigned char *)keys->elements[1].value)[keys->elements[1].length - 1]);
	hex(&keys->elements[0]);
	printf("\n");

	for (int who = 0; who < 2; who++)
		for (int conf = 0; conf < 2; conf++)
			for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
				gss_buffer_desc plain = {lengths[n], raw}, token, back;
				int sealed;

				for (size_t i = 0; i < lengths[n]; i++)
					raw[i] = i * 7 + lengths[n];
				if (!conf && lengths[n] > 1000)
					continue;
				if ((major = gss_wrap(&minor, side[who], conf, GSS_C_QOP_DEFAULT, &plain, &sealed, &token)) || sealed != conf)
					die("wrap", major, minor);
				printf("token %c %d %zu ", "ia"[who], conf, lengths[n]);
				hex(&token);
				printf("\n");
				if ((major = gss_unwrap(&minor, side[!who], &token, &back, NULL, NULL)))
					die("unwrap", major, minor);
				gss_release_buffer(&minor, &token);
				gss_release_buffer(&minor, &back);
			}
	printf("ready\n");
	fflush(stdout);

	while (fgets(line, sizeof line, stdin)) {
		char who, *text = line + 8;
		gss_buffer_desc token = {0, raw}, back;
		int conf;

		if (sscanf(line, "given %c ", &who) != 1 || strlen(line) < 8)
			return 2;
		for (unsigned octet; sscanf(text, "%2x", &octet) == 1; text += 2)
			raw[token.length++] = octet;
		major = gss_unwrap(&minor, side[who == 'i'], &token, &back, &conf, NULL);
		if (major) {
			printf("refused %u\n", major);
		} else {
			printf("opened %d ", conf);
			hex(&back);
			printf("\n");
			gss_release_buffer(&minor, &back);
		}
		fflush(stdout);
	}
	return 0;
}
