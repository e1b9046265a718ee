package pgimages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"time"

	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Catalogue is every image that scenarios can name.
func Catalogue() []Spec {
	specs := []Spec{KDC()}
	for _, v := range matrix.ServerVersions {
		specs = append(specs, Server(v))
	}
	for _, c := range matrix.Clients {
		if s := Client(c.Image); c.Image != "" && !slices.Contains(specs, s) {
			specs = append(specs, s)
		}
	}
	return specs
}

// Here says of each image of the catalogue whether it is on the engine as its inputs want it: name -> tag, empty if it is not.
func Here(ctx context.Context) (map[string]string, error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	found, err := cli.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("reference", "pgauthmatrix/*")})
	if err != nil {
		return nil, err
	}
	tags := map[string]bool{}
	for _, image := range found.Items {
		for _, tag := range image.RepoTags {
			tags[tag] = true
		}
	}
	here := map[string]string{}
	for _, s := range Catalogue() {
		here[s.Name()] = ""
		if tags[s.tag()] {
			here[s.Name()] = s.tag()
		}
	}
	return here, nil
}

// FromDebian says whether a Debian release carries what the image stands on, so that it can be made where no registry answers.
func (s Spec) FromDebian() bool { return suiteFor(s.major).bootstrap }

// RegistryReference is an image that has to be pulled: PostgreSQL 16, which no Debian release carries.
var RegistryReference = suiteFor(16).pull

// RegistryAnswers asks the registry of RegistryReference, by way of the engine, without pulling anything.
func RegistryAnswers(ctx context.Context) error {
	cli, err := Engine(ctx)
	if err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, pullPatience)
	defer cancel()
	_, err = cli.DistributionInspect(patient, RegistryReference, client.DistributionInspectOptions{EncodedRegistryAuth: login(ctx, RegistryReference)})
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no answer within %s", pullPatience)
	}
	return err
}

// Mirror is the Debian mirror that releases are installed from. The error says why it does not answer.
func Mirror(ctx context.Context) (url string, err error) {
	names := suiteFor(kdcMajor).releases()
	url = standardMirror
	out, err := exec.CommandContext(ctx, "apt-get", indexTargets...).Output()
	if err == nil {
		if configured, _ := mirrors(string(out)); configured != "" {
			url = configured
		}
	}
	return url, head(ctx, url+"dists/"+names[0]+"/Release")
}

// head asks for the headers of what is at an address.
func head(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
