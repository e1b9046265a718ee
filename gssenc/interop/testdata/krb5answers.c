/* What libkrb5 reads of configurations: krb5answers QUESTIONS DIRECTORY... prints for each directory what KRB5_CONFIG, as the file
 * "config" in it says, comes to. There are no headers where this is compiled; the declarations are those of krb5.h, profile.h and
 * os-proto.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int magic; unsigned int length; char *data; } krb5_data;
enum { AES_FIRST = 17, AES_LAST = 20 };
struct server_entry {
	char *hostname;
	int port, transport;
	char *uri_path;
	int family, primary;
	size_t addrlen;
	char addr[128] __attribute__((aligned(8)));
};
struct serverlist { struct server_entry *servers; size_t nservers; };
int krb5_init_context(void **);
void krb5_free_context(void *);
int krb5_get_default_realm(void *, char **);
int krb5_get_host_realm(void *, const char *, char ***);
int krb5_get_profile(void *, void **);
int krb5_get_tgs_ktypes(void *, const void *, int **);
int krb5_get_default_in_tkt_ktypes(void *, int **);
int profile_get_values(void *, const char **, char ***);
int k5_locate_kdc(void *, const krb5_data *, struct serverlist *, int, int);

static void etypes(const char *name, int failed, int *list)
{
	int any = 0;
	printf("%s", name);
	for (; !failed && *list; list++)
		if (*list >= AES_FIRST && *list <= AES_LAST)
			any = printf(" %d", *list);
	puts(any ? "" : " -");
}

static void kdcs(void *context, void *profile, char *realm)
{
	const char *path[] = {"realms", realm, "kdc", NULL};
	char **values;
	krb5_data name = {0, strlen(realm), realm};
	struct serverlist list = {NULL, 0};
	size_t i, j;

	printf("realm %s", realm);
	if (profile_get_values(profile, path, &values) || k5_locate_kdc(context, &name, &list, 0, 1) || !list.nservers) {
		puts(" -"); /* without a kdc in the file, DNS would be asked */
		return;
	}
	for (i = 0; i < list.nservers; i++) {
		const struct server_entry *s = &list.servers[i];
		for (j = 0; j < i; j++)
			if (!strcmp(list.servers[j].hostname, s->hostname) && list.servers[j].port == s->port)
				break;
		if (j == i)
			printf(strchr(s->hostname, ':') ? " [%s]:%d" : " %s:%d", s->hostname, s->port);
	}
	puts("");
}

int main(int argc, char **argv)
{
	for (int n = 2; n < argc; n++) {
		char line[512], config[512] = "", path[512];
		void *context, *profile;
		char *realm, **realms;
		int *list, failed;
		FILE *f;

		printf("# %s\n", strrchr(argv[n], '/') + 1);
		snprintf(path, sizeof path, "%s/config", argv[n]);
		f = fopen(path, "r");
		if (!f || !fgets(config, sizeof config, f))
			return 1;
		fclose(f);
		setenv("KRB5_CONFIG", config, 1);
		if (krb5_init_context(&context)) {
			puts("error");
			continue;
		}
		krb5_get_profile(context, &profile);
		printf("default_realm %s\n", krb5_get_default_realm(context, &realm) ? "-" : realm);
		if (!(f = fopen(argv[1], "r")))
			return 1;
		while (fgets(line, sizeof line, f)) {
			char *of = strchr(line, ' ');
			if (!of)
				continue;
			*of++ = 0;
			of[strcspn(of, "\n")] = 0;
			if (!strcmp(line, "realm"))
				kdcs(context, profile, of);
			else
				printf("host %s %s\n", of, krb5_get_host_realm(context, of, &realms) || !*realms[0] ? "-" : realms[0]);
		}
		fclose(f);
		failed = krb5_get_default_in_tkt_ktypes(context, &list);
		etypes("tkt", failed, list);
		failed = krb5_get_tgs_ktypes(context, NULL, &list);
		etypes("tgs", failed, list);
		krb5_free_context(context);
	}
	return 0;
}
