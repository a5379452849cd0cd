"""Other names of the market's columns, in the headers of common exports; to be added to freely."""

ENGLISH = {
    "post_id": "id media_id video_id shortcode aweme_id pk",
    "account_id": "user user_id username author author_id author_name creator creator_id influencer influencer_id "
    "influencer_name owner owner_id channel channel_id handle profile profile_id account page",
    "posted_at": "date time timestamp created created_at create_time published published_at publish_date taken_at "
    "post_date upload_date",
    "caption": "text description desc title content message body",
    "hashtags": "tags hash_tags",
    "mentioned_ids": "mentions mentioned tagged tagged_users",
    "likes": "like like_count likes_count number_likes n_likes favorites hearts digg_count",
    "comments": "comment comment_count comments_count number_comments n_comments replies",
    "shares": "share share_count shares_count reposts retweets",
    "impressions": "views view_count views_count plays play_count reach video_views number_of_views",
    "brand_id": "brand brand_name advertiser sponsor sponsor_name",
    "sponsored": "is_sponsored is_ad paid paid_partnership is_paid",
    "duration_s": "duration video_duration length_s seconds",
    "music_id": "music sound sound_id audio_id",
    "author_followers": "followers follower_count followers_count subscribers",
    "kind": "type account_type role",
    "name": "full_name display_name nickname",
    "platform": "network channel_type",
    "category": "niche topic vertical industry line_of_business category_code",
    "location": "city country region",
    "followers": "follower_count followers_count number_followers subscribers fans fan_count",
    "verified": "is_verified",
    "videos": "posts video_count media_count number_posts posts_count",
    "biography": "bio about signature",
    "creator_id": "creator influencer influencer_id username user user_id account_id author",
    "content_type": "format type post_type media_type deliverable",
    "price": "rate fee cost unit_price",
    "event_id": "event",
    "date": "event_date day",
    "order_id": "order invoice invoice_id transaction_id basket_id",
    "product_id": "product item item_id sku product_line",
    "customer_id": "customer user user_id client buyer",
    "merchant_id": "merchant brand seller store shop manufacturer",
    "quantity": "qty units",
    "amount": "total revenue sales spend",
    "ordered_at": "date time timestamp event_time order_date invoice_date purchased_at",
    "source_id": "source from from_id followee u",
    "target_id": "target to to_id follower v",
    "probability": "weight p",
    "offset_days": "offset days_offset",
    "campaign_id": "campaign",
    "engagement": "engagements interactions",
}
"""Column of the market -> other names of it, in ASCII and lower case with underscores (é is e, ß is ss)."""
ABROAD = {
    "post_id": "beitrags_id beitrag_id video_nr id_publicacion id_de_la_publicacion id_publication "
    "identifiant_de_la_publication",
    "account_id": "benutzer benutzername nutzer nutzername konto kontoname konto_benutzername autor verfasser "
    "usuario nombre_de_usuario cuenta perfil utilisateur nom_d_utilisateur compte auteur profil",
    "posted_at": "datum zeit zeitpunkt veroffentlicht veroffentlicht_am veroffentlichungszeit erstellt erstellt_am "
    "fecha fecha_de_publicacion hora_de_publicacion date_de_publication heure_de_publication publie_le",
    "caption": "beschriftung beschreibung bildunterschrift titel inhalt descripcion texto titulo leyenda "
    "texte legende titre",
    "hashtags": "schlagworter etiquetas mots_cles",
    "likes": "gefallt_mir gefallt_mir_angaben gefallt_mir_anzahl me_gusta cantidad_de_me_gusta j_aime "
    "mentions_j_aime nombre_de_j_aime",
    "comments": "kommentar kommentare anzahl_kommentare comentario comentarios commentaire commentaires "
    "nombre_de_commentaires",
    "shares": "geteilt geteilte_inhalte teilungen geteilte_beitrage compartido compartidos veces_compartido partages",
    "impressions": "aufrufe impressionen reichweite wiedergaben videoaufrufe visualizaciones reproducciones vistas "
    "impresiones alcance vues couverture lectures",
    "brand_id": "marke auftraggeber marca anunciante marque annonceur",
    "sponsored": "gesponsert anzeige werbung bezahlt patrocinado pagado sponsorise publicite",
    "duration_s": "dauer dauer_sek duracion duracion_s duree duree_s",
    "author_followers": "follower abonnenten seguidores abonnes",
    "kind": "typ art kontotyp tipo tipo_de_cuenta type_de_compte",
    "name": "anzeigename nombre nom",
    "platform": "plattform netzwerk plataforma red_social plateforme reseau",
    "category": "kategorie thema branche categoria tema nicho categorie theme",
    "location": "ort stadt land ciudad pais ubicacion ville pays lieu",
    "followers": "follower followeranzahl abonnenten seguidores numero_de_seguidores abonnes nombre_d_abonnes",
    "verified": "verifiziert verificado verifie",
    "videos": "beitrage anzahl_beitrage publicaciones",
    "biography": "biografie biografia biographie",
    "creator_id": "benutzer benutzername creador utilisateur",
    "content_type": "beitragsart inhaltsart tipo_de_publicacion type_de_publication",
    "price": "preis kosten honorar precio tarifa prix tarif",
    "date": "datum tag fecha",
    "order_id": "bestellung bestellnummer pedido numero_de_pedido commande numero_de_commande",
    "product_id": "produkt artikel artikelnummer producto articulo produit",
    "customer_id": "kunde kundennummer cliente client_id",
    "merchant_id": "handler verkaufer tienda vendedor vendeur boutique",
    "quantity": "menge anzahl stuck cantidad quantite",
    "amount": "betrag umsatz summe importe montant",
    "ordered_at": "datum bestelldatum fecha fecha_del_pedido date_de_commande",
}
"""The same in German, Spanish and French."""
SYNONYMS = {column: (*ENGLISH.get(column, "").split(), *ABROAD.get(column, "").split()) for column in ENGLISH | ABROAD}
"""All of them, English first."""
